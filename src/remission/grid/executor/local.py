"""Runs a plan on this machine: one stage after the other in this process, or several at once.

Results do not depend on the number of processes: each process has the same number of threads,
since the number of threads changes the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial

import torch

from remission.grid.executor.cluster import Cluster
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.reporter import Reporter, RunOutcome
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.executor.workers import (
    Setup,
    Worker,
    ctrl_c_blocked,
    prepare_to_start,
    stop,
    wait_for_any,
)
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record, run_or_record_failure
from remission.grid.stages.kinds import registered_kinds
from remission.progress import listening
from remission.records import Store
from remission.records.claims import Claims
from remission.records.places import is_local
from remission.user_methods import used

_PATIENCE = 0.5
"""The longest wait for a worker, or for other runs, in seconds."""


def default_jobs(device: torch.device) -> int:
    """Returns the number of processes: one per processor core up to 4, one on an accelerator."""
    return min(_cores(), 4) if device.type == "cpu" else 1


def threads() -> int:
    """Returns the number of threads per process, whatever the number of processes."""
    return max(1, _cores() // min(_cores(), 4))


def _cores() -> int:
    """Returns the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_plan(
    plan: list[Stage],
    store: Store,
    reporter: Reporter,
    *,
    device: torch.device,
    jobs: int,
    cluster: Cluster | None = None,
) -> RunOutcome:
    """Computes what the store does not hold yet.

    Other runs may be at work on the same store: what one of them has claimed is left to it, and its
    result is used. A stage that fails is recorded as failed; those that build upon it are skipped,
    the others go on.

    Args:
        plan: parents before children.
        store: read and written.
        reporter: hears how the run goes.
        device: where to compute.
        jobs: processes at once; 1 computes in this process.
        cluster: the Ray cluster that computes instead; None: this computer does.

    Raises:
        StoreError: the store cannot be read or written; everything finished is kept.
        KeyboardInterrupt: interrupted; everything finished is kept.
    """
    finished = store.finished((stage.kind, stage.id) for stage in plan)
    outcome = RunOutcome(stored=[stage.label for stage in plan if stage.id in finished])
    reporter.begin(len(plan), len(finished))
    if len(finished) == len({stage.id for stage in plan}):
        return outcome
    claims = Claims(store.folder)
    run = GridRun(
        store,
        claims,
        reporter,
        outcome,
        StageQueue(plan, finished, longest_chain_first=cluster is not None),
        shares_device=device.type != "cpu" and (jobs > 1 or cluster is not None),
    )
    try:
        if cluster is not None:
            from remission.grid.executor.on_ray import compute_on_ray

            compute_on_ray(run, cluster, setup_of(run, device, cluster.threads))
        elif jobs == 1:
            _in_this_process(run, device)
        else:
            _in_workers(run, device, jobs)
    finally:
        with ctrl_c_blocked():  # a second Ctrl-C must not cut the tidying short
            claims.release_all()
    return outcome


def _in_this_process(run: GridRun, device: torch.device) -> None:
    """Computes one stage after the other."""
    while not run.is_over:
        if (stage := run.next_stage()) is None:
            time.sleep(_PATIENCE)
            continue
        run.reporter.start(stage)
        with listening(partial(run.advance, stage)):
            run.settle(stage, run_or_record_failure(stage, run.store, device))


def _in_workers(run: GridRun, device: torch.device, jobs: int) -> None:
    """Computes several stages at once, in ``jobs`` worker processes."""
    setup = setup_of(run, device, threads())
    workers = list[Worker]()
    prepare_to_start()
    try:
        while not run.is_over:
            busy = [worker for worker in workers if worker.stage]
            idle = [worker for worker in workers if not worker.stage]
            while len(busy) < jobs and not _one_alone(run, busy):
                if (stage := run.next_stage(others=len(busy))) is None:
                    break
                with ctrl_c_blocked():  # a worker that nobody knows could not be ended
                    worker = idle.pop() if idle else Worker(setup)
                    if worker not in workers:
                        workers.append(worker)
                run.reporter.start(stage)
                worker.give(stage)
                busy.append(worker)
            if not busy:
                time.sleep(_PATIENCE)
            for worker in wait_for_any(busy, _PATIENCE):
                if not _hear(run, worker):
                    workers.remove(worker)
    finally:
        with ctrl_c_blocked():  # a second Ctrl-C must not cut the tidying short
            stop(workers)
        run.store.drop_parts()


def setup_of(run: GridRun, device: torch.device, threads: int) -> Setup:
    """Returns what the workers of a run must know."""
    return Setup(
        place=str(run.store.folder.absolute() if is_local(run.store.folder) else run.store.folder),
        writer=run.store.writer,
        device=str(device),
        threads=threads,
        files=used(),
        kinds=registered_kinds(),
    )


def _one_alone(run: GridRun, busy: Sequence[Worker]) -> bool:
    """Returns whether a stage is computed that must have the device for itself."""
    return any(worker.stage and worker.stage.id in run.alone for worker in busy)


def _hear(run: GridRun, worker: Worker) -> bool:
    """Deals with what a worker says; returns whether it lives."""
    stage = worker.stage
    assert stage is not None
    try:
        for message in worker.messages():
            if message.about == "advance":
                run.advance(stage, *message.content)
            elif message.about == "line":
                worker.log.add(message.content)
            elif message.about == "refused":
                raise message.content
            else:
                worker.stage = None
                if not run.may_try_alone(stage, message.content):
                    run.settle(stage, message.content)
    except EOFError:
        if worker.stage is not None:  # else it had ended its stage before it died
            record = failure_record(stage, worker.death(), worker.log.lines())
            run.store.keep(record)
            run.settle(stage, record)
        stop([worker])
        return False
    return True
