"""Computes the stages of a run on a Ray cluster.

A task carries settings and identities, never tensors: weights and pictures travel through the
store. Short stages that are ready together go to one task. Ray repeats a task whose worker was
lost; one that fails by itself is not repeated. The driver holds the claims.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from remission.errors import StoreError
from remission.grid.executor.cluster import Cluster, ClusterError, own_code
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.ray_worker import Ended, Mailbox, compute_stages
from remission.grid.executor.workers import Setup
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record
from remission.intervals import mean_of

_RETRIES = 3
"""So many times Ray repeats a task whose worker or node was lost."""
_REACH = 10.0
"""Seconds within which a cluster must answer."""
_POLL = 0.5
"""Seconds of a wait for tasks."""
_SHORT, _BUNDLE = 60.0, 8
"""Stages that take fewer seconds are bundled, so many at most."""
_AHEAD = 2
"""Tasks that wait per task that runs, so that no worker is idle between two."""


def compute_on_ray(run: GridRun, cluster: Cluster, setup: Setup) -> None:
    """Computes the stages of a run on a cluster.

    Args:
        run: its stages.
        cluster: where, and what each stage takes.
        setup: what workers must know.

    Raises:
        ClusterError: the cluster cannot be reached, or is lost.
        StoreError: the store cannot be written; everything finished is kept.
    """
    with _connected(cluster):
        driver = _Driver(run, cluster, setup)
        try:
            while not run.is_over:
                driver.submit()
                driver.collect()
        finally:
            driver.cancel()


@contextmanager
def _connected(cluster: Cluster) -> Iterator[None]:
    """Starts a local cluster, or connects to a running one, for the time of the context."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if cluster.address is None:
        options |= {"num_cpus": cluster.jobs or os.cpu_count(), "include_dashboard": False}
    try:
        _check_address(cluster.address)
        ray.init(address=cluster.address, ignore_reinit_error=True, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        (line, *_) = str(error).splitlines() or [type(error).__name__]
        raise ClusterError(
            f"the Ray cluster '{cluster.address or 'of this computer'}' cannot be used ({line})",
            "start it with `ray start --head`, or leave --address out",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str | None) -> None:
    """Connects to a cluster once: where nobody listens, Ray itself waits for minutes.

    Raises:
        OSError: nobody listens there.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_REACH).close()


@dataclass(eq=False)
class _Driver:
    """Hands stages to the cluster and takes their ends."""

    run: GridRun
    cluster: Cluster
    setup: Setup
    running: dict[Any, list[Stage]] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Places what all tasks share into the cluster once."""
        self.code, self.shared = own_code(), ray.put(self.setup)
        self.mailbox: Any = ray.remote(num_cpus=0)(Mailbox).remote()
        self.task = ray.remote(
            num_cpus=self.cluster.cpus_per_stage,
            num_gpus=self.cluster.gpus_per_stage,
            max_retries=_RETRIES,
            retry_exceptions=False,
        )(compute_stages)

    @property
    def slots(self) -> int:
        """How many tasks the cluster can run at a time, at least one."""
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        slots = there.get("CPU", 0.0) / self.cluster.cpus_per_stage
        if self.cluster.gpus_per_stage:
            slots = min(slots, there.get("GPU", 0.0) / self.cluster.gpus_per_stage)
        return max(1, int(slots))

    def submit(self) -> None:
        """Hands over what is ready, a little more than the cluster can run at a time."""
        most = _AHEAD * self.slots
        while len(self.running) < most and (bundle := self._bundle(most)):
            for stage in bundle:
                self.run.reporter.start(stage)
            options: dict[str, Any] = {}
            if bundle[0].id in self.run.alone:
                options["num_gpus"] = 1
            if node := self._near(bundle[0]):
                strategy = NodeAffinitySchedulingStrategy(node, soft=True)
                options["scheduling_strategy"] = strategy
            task = self.task.options(**options).remote(bundle, self.shared, self.code, self.mailbox)
            self.running[task] = bundle

    def _bundle(self, most: int) -> list[Stage]:
        """Claims a stage, and with a short one further short ones that build upon the same."""
        first = self.run.next_stage()
        if first is None:
            return []
        bundle = [first]
        wanted = min(_BUNDLE, len(self.run.queue) // most)
        while len(bundle) < wanted and self._is_short(bundle[-1]):
            further = self.run.next_stage()
            if further is None:
                break
            bundle.append(further)
            if self._family(further) != self._family(first):
                break
        return bundle

    def _is_short(self, stage: Stage) -> bool:
        """Returns whether stages of this kind take less than a minute, as far as is known."""
        known = self.seconds.get(_kind(stage))
        return known is not None and mean_of(known) < _SHORT

    @staticmethod
    def _family(stage: Stage) -> str:
        """Returns the victim that a stage builds upon, or itself."""
        return stage.parents.get("victim", stage.id)

    def _near(self, stage: Stage) -> str | None:
        """Returns the node that computed what the stage builds upon, if it is known."""
        nodes = (self.nodes.get(parent) for parent in stage.parents.values())
        return next((node for node in nodes if node), None)

    def collect(self) -> None:
        """Waits for tasks that end, and settles their stages."""
        with suppress(RayError):
            for identity, step in ray.get(self.mailbox.take.remote(), timeout=5).items():
                for stage in (one for bundle in self.running.values() for one in bundle):
                    if stage.id == identity:
                        self.run.advance(stage, *step)
        if not self.running:
            time.sleep(_POLL)
            return
        ended, _ = ray.wait(list(self.running), num_returns=len(self.running), timeout=_POLL)
        for task in ended:
            bundle = self.running.pop(task)
            try:
                ends = {end.identity: end for end in ray.get(task)}
            except StoreError as error:  # as Ray hands it over, with the worker's traceback as text
                raise getattr(error, "cause", error) from None
            except RayError as error:
                self._lose(bundle, error)
                continue
            for stage in bundle:
                self._settle(stage, ends[stage.id])

    def _settle(self, stage: Stage, end: Ended) -> None:
        if end.refused:
            record = failure_record(stage, end.refused)
            self.run.store.keep(record)
            self.run.settle(stage, record)
            return
        store = self.run.store
        found = store.find(stage.kind, stage.id) or store.failure(stage.kind, stage.id)
        if found is None:
            raise StoreError(
                f"the result of '{stage.label}' is not in the store '{store.folder}', though a "
                "worker wrote it",
                "give a folder that every node of the cluster shares, or an s3:// address",
            )
        if self.run.may_try_alone(stage, found):
            return
        self.nodes[stage.id] = end.node
        self.seconds.setdefault(_kind(stage), []).append(found.seconds)
        self.run.settle(stage, found)

    def _lose(self, bundle: Sequence[Stage], error: RayError) -> None:
        """Settles the stages of a task that Ray gave up; what it had finished counts."""
        (line, *_) = [one for one in str(error).splitlines() if one.strip()] or [""]
        reason = f"its worker was lost {_RETRIES + 1} times: {type(error).__name__}: {line.strip()}"
        for stage in bundle:
            record = self.run.store.find(stage.kind, stage.id)
            if record is None:
                record = failure_record(stage, " ".join(reason.split()))
                self.run.store.keep(record)
            self.run.settle(stage, record)

    def cancel(self) -> None:
        """Ends every task that is left."""
        for task in self.running:
            with suppress(RayError, ValueError):
                ray.cancel(task, force=True)


def _kind(stage: Stage) -> str:
    """Returns a key of stages that take about equally long."""
    tables = (stage.settings.get(role) for role in ("attack", "purifier", "reactivation"))
    names = [str(table.get("method")) for table in tables if isinstance(table, dict)]
    return " ".join([stage.kind, *names])
