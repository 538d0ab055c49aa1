"""Computes the stages of a run on a Ray cluster.

A *task* of Ray computes one stage, or several short ones. It carries settings and identities,
never tensors: weights and pictures travel through the store. Ray repeats a task whose worker was
lost; a stage that fails by itself is not repeated. The process of the run holds the claims.
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
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from remission.errors import StoreError
from remission.grid.executor.bundles import Bundles
from remission.grid.executor.cluster import Cluster, ClusterError, own_code
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.interruptions import handlers_kept
from remission.grid.executor.ray_worker import Mailbox, StageEnd, compute_stages
from remission.grid.executor.workers import Setup
from remission.grid.plan.stage import Stage

_RETRIES = 3
"""So many times Ray repeats a task whose worker or node was lost."""
_REACH = 10.0
"""Seconds within which a cluster must answer."""
_POLL = 0.5
"""Seconds of a wait for tasks."""
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
        _check_room(cluster)
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
        # "local" never connects: without an address Ray looks for another cluster of this computer,
        # and finds the trace of one that was killed.
        with handlers_kept():
            ray.init(address=cluster.address or "local", ignore_reinit_error=True, **options)
    except SystemExit as error:  # what SIGTERM raises while Ray starts
        raise KeyboardInterrupt from error
    except (ConnectionError, RuntimeError, ValueError, OSError, RayError) as error:
        (line, *_) = str(error).splitlines() or [type(error).__name__]
        raise ClusterError(
            f"the Ray cluster '{cluster.address or 'of this computer'}' cannot be used ({line})",
            "start it with `ray start --head`, or leave --address out; if it runs and asks for a "
            "token, set RAY_AUTH_MODE=token and give the token as its documentation says",
        ) from error
    try:
        yield
    finally:
        with handlers_kept():
            ray.shutdown()


def _check_room(cluster: Cluster) -> None:
    """Checks that some node of the cluster has room for a stage.

    Raises:
        ClusterError: none has.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    rooms = sorted((room.get("CPU", 0.0), room.get("GPU", 0.0)) for room in alive)
    wanted = cluster.cpus_per_stage, cluster.gpus_per_stage
    if not any(cpus >= wanted[0] and gpus >= wanted[1] for cpus, gpus in rooms):
        cluster.check(*(rooms or [(0.0, 0.0)])[-1], "the largest node of the cluster")


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

    def __post_init__(self) -> None:
        """Places what all tasks share into the cluster once."""
        self.bundles = Bundles(self.run)
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
        while len(self.running) < most and (bundle := self.bundles.next_bundle(most)):
            for stage in bundle:
                self.run.reporter.start(stage)
            options: dict[str, Any] = {}
            if bundle[0].id in self.run.alone:
                options["num_gpus"] = max(1, self.cluster.gpus_per_stage)
            if node := self._near(bundle[0]):
                strategy = NodeAffinitySchedulingStrategy(node, soft=True)
                options["scheduling_strategy"] = strategy
            task = self.task.options(**options).remote(bundle, self.shared, self.code, self.mailbox)
            self.running[task] = bundle

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
                self._give_up(bundle, error)
                continue
            for stage in bundle:
                self._settle(stage, ends[stage.id])

    def _settle(self, stage: Stage, end: StageEnd) -> None:
        if end.refusal:
            self.run.fail(stage, end.refusal)
            return
        store = self.run.store
        found = store.find(stage.kind, stage.id) or store.failure(stage.kind, stage.id)
        if found is None:
            raise StoreError(
                f"the result of '{stage.label}' is not in the store '{store.folder}', though a "
                "worker wrote it",
                "give a folder that every node of the cluster shares, or an s3:// address",
            )
        if self.run.requeue_alone(stage, found):
            return
        self.nodes[stage.id] = end.node
        self.bundles.note(stage, found.seconds)
        self.run.settle(stage, found)

    def _give_up(self, bundle: Sequence[Stage], error: RayError) -> None:
        """Settles the stages of a task that Ray gave up; what it had finished counts.

        Which stage of several ended the worker is unknown, and those behind it were not tried:
        each is tried by itself.
        """
        left = list[Stage]()
        for stage in bundle:
            if record := self.run.store.find(stage.kind, stage.id):
                self.run.settle(stage, record)
            elif len(bundle) > 1:
                left.append(stage)
            else:
                self.run.fail(stage, _reason(error))
        self.bundles.separate(left)

    def cancel(self) -> None:
        """Ends every task that is left."""
        for task in self.running:
            with suppress(RayError, ValueError):
                ray.cancel(task, force=True)


def _reason(error: RayError) -> str:
    """Says in one line why a task has no result: it raised an error, or its worker was lost."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    if not isinstance(error, RayTaskError):
        reason = f"its worker was lost {_RETRIES + 1} times: {type(error).__name__}: {lines[0]}"
    elif isinstance(error.cause, Exception):
        reason = f"its task failed on a worker: {type(error.cause).__name__}: {error.cause}"
    else:  # an error that no other process can read, of which the traceback is there as text
        reason = f"its task failed on a worker: {lines[-1]}"
    return " ".join(reason.split())
