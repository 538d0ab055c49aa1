"""Runs a plan on this machine: one process after the other, or several at once.

What is computed does not depend on how many processes there are: each has the same number of
threads, since threads change the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from threading import Event, Lock, Thread

import torch

from remission.errors import StoreError
from remission.grid.executor.reporter import Outcome, Reporter
from remission.grid.executor.workers import Message, deaf, hear, prepare, stop, work_on
from remission.grid.plan.stage import Stage
from remission.grid.stages.attempt import attempt, failed
from remission.progress import listening
from remission.records import Record, Store
from remission.user_methods import used

_PATIENCE = 0.5
"""Seconds of the longest wait that nothing can interrupt."""


def default_jobs(device: torch.device) -> int:
    """Processes at once: one a processor core up to 4, one on an accelerator."""
    return min(_cores(), 4) if device.type == "cpu" else 1


def threads() -> int:
    """Threads of every process: the same whatever the number of processes, and so the results."""
    return max(1, _cores() // min(_cores(), 4))


def _cores() -> int:
    """Processor cores that this process may use."""
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
) -> Outcome:
    """Computes what the store does not hold yet.

    A stage that fails is recorded as failed, those that build upon it are skipped, the others go
    on.

    Args:
        plan: parents before children.
        store: read and written.
        reporter: told of everything.
        device: where to compute.
        jobs: processes at once; 1 computes in this process.

    Raises:
        StoreError: the store cannot be written; everything finished is kept.
        KeyboardInterrupt: interrupted; everything finished is kept.
    """
    finished = {s.id: s for s in plan if store.find(s.kind, s.id)}
    outcome = Outcome(stored=[stage.label for stage in finished.values()])
    reporter.begin(len(plan), len(finished))
    if not (waiting := [stage for stage in plan if stage.id not in finished]):
        return outcome
    run = _Run(store, reporter, outcome, set(finished), waiting)
    if jobs == 1:
        run.here(device)
    else:
        run.in_processes(device, jobs)
    return outcome


class _Run:
    """The state of one run: what is finished, what waits, what failed."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        outcome: Outcome,
        finished: set[str],
        waiting: list[Stage],
    ) -> None:
        self.store, self.reporter, self.outcome = store, reporter, outcome
        self.finished, self.waiting = finished, waiting
        self.lost: set[str] = set()

    def here(self, device: torch.device) -> None:
        """One stage after the other, in this process."""
        while stage := self.next_stage():
            self.reporter.start(stage)
            label = stage.label

            def heard(what: str, done: int, total: int, label: str = label) -> None:
                self.reporter.advance(label, what, done, total)

            with listening(heard):
                self.settle(stage, attempt(stage, self.store, device))

    def in_processes(self, device: torch.device, jobs: int) -> None:
        """Several stages at once, each in a process of its own kind."""
        context = multiprocessing.get_context("spawn")
        messages: Queue[Message] = context.Queue()
        lock, over = Lock(), Event()
        pool = ProcessPoolExecutor(
            jobs, context, initializer=prepare, initargs=(messages, threads(), used())
        )
        ear = Thread(target=hear, args=(messages, self.reporter, lock, over), daemon=True)
        ear.start()
        running: dict[Future[Record], Stage] = {}
        try:
            while True:
                while len(running) < jobs and (stage := self.next_stage()):
                    with lock, deaf():
                        self.reporter.start(stage)
                        work = pool.submit(
                            work_on, stage, self.store.folder, self.store.writer, str(device)
                        )
                    running[work] = stage
                if not running:
                    break
                # a Ctrl-C that another thread received is heard only when this one runs again
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
            with deaf():  # a second Ctrl-C must not cut the tidying short
                stop(pool)
            self.store.drop_parts()
            over.set()
            ear.join(timeout=5)

    def next_stage(self) -> Stage | None:
        """The next stage whose parents are finished; those with a lost parent are skipped."""
        for stage in list(self.waiting):
            if any(parent in self.lost for parent in stage.parents.values()):
                self.waiting.remove(stage)
                self.lost.add(stage.id)
                self.outcome.skipped.append(stage.label)
                self.store.keep(failed(stage, "not computed: what it builds upon failed"))
                self.reporter.skip(stage)
            elif all(parent in self.finished for parent in stage.parents.values()):
                self.waiting.remove(stage)
                return stage
        return None

    def settle(self, stage: Stage, record: Record) -> None:
        """Books a stage as finished or failed."""
        if record.status == "done":
            self.finished.add(stage.id)
            self.outcome.computed.append(stage.label)
        else:
            self.lost.add(stage.id)
            self.outcome.failed[stage.label] = record.error or "unknown error"
        self.reporter.finish(stage, record)
