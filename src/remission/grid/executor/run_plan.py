"""Computes the stages of a plan that a store lacks: here, in worker processes, or on a Ray cluster.

Results do not depend on the number of processes: each process has the same number of threads,
since the number of threads changes the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import os

import torch

from remission.grid.executor.cluster import Cluster, use_token
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.interruptions import tidying
from remission.grid.executor.local import compute_in_this_process, compute_in_workers
from remission.grid.executor.reporter import Reporter, RunOutcome
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.executor.workers import Setup
from remission.grid.plan.stage import Stage
from remission.grid.stages.kinds import registered_kinds
from remission.records import Store
from remission.records.claims import Claims
from remission.records.places import is_local
from remission.user_methods import used


def default_jobs(device: torch.device) -> int:
    """Returns the number of processes: one per processor core up to 4, one on an accelerator."""
    return min(_cores(), 4) if device.type == "cpu" else 1


def threads() -> int:
    """Returns the number of threads per process of this computer, whatever their number."""
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
            if cluster.address is not None:
                use_token()
            from remission.grid.executor.on_ray import compute_on_ray

            compute_on_ray(run, cluster, _setup_of(store, device, cluster.threads))
        elif jobs == 1:
            compute_in_this_process(run, device)
        else:
            compute_in_workers(run, _setup_of(store, device, threads()), jobs)
    finally:
        with tidying():  # a second Ctrl-C must not cut it short
            claims.release_all()
    return outcome


def _setup_of(store: Store, device: torch.device, threads: int) -> Setup:
    """Returns what the workers of a run must know."""
    return Setup(
        place=str(store.folder.absolute() if is_local(store.folder) else store.folder),
        writer=store.writer,
        device=str(device),
        threads=threads,
        files=used(),
        kinds=registered_kinds(),
    )
