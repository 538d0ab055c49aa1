"""Runs a plan on this machine: one stage after the other in this process, or several at once.

Results do not depend on the number of processes: each process has the same number of threads,
since the number of threads changes the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.queues import Queue
from threading import Event, Lock, Thread

import torch

from remission.errors import StoreError
from remission.grid.executor.reporter import Reporter, RunOutcome
from remission.grid.executor.workers import Message, ctrl_c_blocked, pass_on, prepare, stop, work_on
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record, run_or_record_failure
from remission.grid.stages.kinds import registered_kinds
from remission.progress import listening
from remission.records import Record, Store
from remission.user_methods import used

_PATIENCE = 0.5
"""The longest wait that Ctrl-C cannot interrupt, in seconds."""


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
) -> RunOutcome:
    """Computes what the store does not hold yet.

    A stage that fails is recorded as failed; those that build upon it are skipped, the others go
    on.

    Args:
        plan: parents before children.
        store: read and written.
        reporter: hears how the run goes.
        device: where to compute.
        jobs: processes at once; 1 computes in this process.

    Raises:
        StoreError: the store cannot be read or written; everything finished is kept.
        KeyboardInterrupt: interrupted; everything finished is kept.
    """
    finished = store.finished((stage.kind, stage.id) for stage in plan)
    outcome = RunOutcome(stored=[stage.label for stage in plan if stage.id in finished])
    reporter.begin(len(plan), len(finished))
    if not (waiting := [stage for stage in plan if stage.id not in finished]):
        return outcome
    run = _Run(store, reporter, outcome, set(finished), waiting)
    if jobs == 1:
        run.in_this_process(device)
    else:
        run.in_workers(device, jobs)
    return outcome


class _Run:
    """The state of one run: what is finished, what waits, what failed."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        outcome: RunOutcome,
        finished: set[str],
        waiting: list[Stage],
    ) -> None:
        self.store, self.reporter, self.outcome = store, reporter, outcome
        self.finished, self.waiting = finished, waiting
        self.unavailable: set[str] = set()

    def in_this_process(self, device: torch.device) -> None:
        """Computes one stage after the other."""
        while stage := self.next_stage():
            self.reporter.start(stage)
            with listening(partial(self.reporter.advance, stage.label)):
                self.settle(stage, run_or_record_failure(stage, self.store, device))

    def in_workers(self, device: torch.device, jobs: int) -> None:
        """Computes several stages at once, in ``jobs`` worker processes."""
        context = multiprocessing.get_context("spawn")
        messages: Queue[Message] = context.Queue()
        lock, over = Lock(), Event()
        pool = ProcessPoolExecutor(
            jobs,
            context,
            initializer=prepare,
            initargs=(messages, threads(), used(), registered_kinds()),
        )
        forwarder = Thread(target=pass_on, args=(messages, self.reporter, lock, over), daemon=True)
        forwarder.start()
        running: dict[Future[Record], Stage] = {}
        try:
            while True:
                while len(running) < jobs and (stage := self.next_stage()):
                    with lock, ctrl_c_blocked():
                        self.reporter.start(stage)
                        work = pool.submit(
                            work_on, stage, str(self.store.folder), self.store.writer, str(device)
                        )
                    running[work] = stage
                if not running:
                    break
                # A Ctrl-C that another thread received reaches this thread only when it runs again.
                for work in wait(running, _PATIENCE, return_when=FIRST_COMPLETED).done:
                    record = work.result()
                    with lock:
                        self.settle(running.pop(work), record)
        except BrokenProcessPool as error:
            names = ", ".join(stage.label for stage in running.values()) or "a stage"
            raise StoreError(
                f"a worker process died while computing {names} (out of memory?)",
                "run again with fewer --jobs; everything finished is kept",
            ) from error
        finally:
            with ctrl_c_blocked():  # a second Ctrl-C must not cut the tidying short
                stop(pool)
            self.store.drop_parts()
            over.set()
            forwarder.join(timeout=5)

    def next_stage(self) -> Stage | None:
        """Takes the next stage with finished parents; skips stages with a parent without result."""
        for stage in list(self.waiting):
            if any(parent in self.unavailable for parent in stage.parents.values()):
                self.waiting.remove(stage)
                self.unavailable.add(stage.id)
                self.outcome.skipped.append(stage.label)
                self.store.keep(failure_record(stage, "not computed: what it builds upon failed"))
                self.reporter.skip(stage)
            elif all(parent in self.finished for parent in stage.parents.values()):
                self.waiting.remove(stage)
                return stage
        return None

    def settle(self, stage: Stage, record: Record) -> None:
        """Notes that a stage is finished, or has failed."""
        if record.status == "done":
            self.finished.add(stage.id)
            self.outcome.computed.append(stage.label)
        else:
            self.unavailable.add(stage.id)
            self.outcome.failed[stage.label] = record.error or "unknown error"
        self.reporter.finish(stage, record)
