"""Runs a plan on this machine: one stage after the other in this process, or several at once.

Results do not depend on the number of processes: each process has the same number of threads,
since the number of threads changes the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import partial

import torch

from remission.grid.executor.reporter import Reporter, RunOutcome
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.executor.workers import Setup, Worker, ctrl_c_blocked, stop, wait_for_any
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record, run_or_record_failure
from remission.grid.stages.kinds import registered_kinds
from remission.progress import listening
from remission.records import Record, Store
from remission.records.claims import Claims
from remission.user_methods import used

_PATIENCE = 0.5
"""The longest wait for a worker, or for other runs, in seconds."""
_LOOK = 1.0
"""Seconds between two looks at what other runs have claimed."""


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

    Other runs may be at work on the same store: what one of them has claimed is left to it, and its
    result is used. A stage that fails is recorded as failed; those that build upon it are skipped,
    the others go on.

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
    if len(finished) == len({stage.id for stage in plan}):
        return outcome
    claims = Claims(store.folder)
    run = _Run(store, claims, reporter, outcome, StageQueue(plan, finished))
    try:
        if jobs == 1:
            run.in_this_process(device)
        else:
            run.in_workers(device, jobs)
    finally:
        with ctrl_c_blocked():  # a second Ctrl-C must not cut the tidying short
            claims.release_all()
    return outcome


class _Run:
    """The state of one run: what waits, what others compute, what failed."""

    def __init__(
        self,
        store: Store,
        claims: Claims,
        reporter: Reporter,
        outcome: RunOutcome,
        queue: StageQueue,
    ) -> None:
        self.store, self.claims, self.reporter = store, claims, reporter
        self.outcome, self.queue = outcome, queue
        self.elsewhere = dict[str, Stage]()
        self.alone = list[Stage]()
        self.began = datetime.now(UTC).isoformat(timespec="seconds")
        self.looked = time.monotonic()

    def in_this_process(self, device: torch.device) -> None:
        """Computes one stage after the other."""
        while len(self.queue):
            if (stage := self.next_stage()) is None:
                time.sleep(_PATIENCE)
                continue
            self.reporter.start(stage)
            with listening(partial(self.advance, stage)):
                self.settle(stage, run_or_record_failure(stage, self.store, device))

    def in_workers(self, device: torch.device, jobs: int) -> None:
        """Computes several stages at once, in ``jobs`` worker processes."""
        setup = Setup(
            place=str(self.store.folder),
            writer=self.store.writer,
            device=str(device),
            threads=threads(),
            files=used(),
            kinds=registered_kinds(),
        )
        workers = list[Worker]()
        try:
            while len(self.queue):
                busy = [worker for worker in workers if worker.stage]
                idle = [worker for worker in workers if not worker.stage]
                while len(busy) < jobs and (stage := self.next_stage(others=len(busy))):
                    worker = idle.pop() if idle else Worker(setup)
                    self.reporter.start(stage)
                    worker.give(stage)
                    busy.append(worker)
                    workers = [*workers, worker] if worker not in workers else workers
                if not busy:
                    time.sleep(_PATIENCE)
                for worker in wait_for_any(busy, _PATIENCE):
                    if not self.hear(worker, device):
                        workers.remove(worker)
        finally:
            with ctrl_c_blocked():  # a second Ctrl-C must not cut the tidying short
                stop(workers)
            self.store.drop_parts()

    def hear(self, worker: Worker, device: torch.device) -> bool:
        """Deals with what a worker says; returns whether it lives."""
        stage = worker.stage
        assert stage is not None
        try:
            for message in worker.messages():
                if message.about == "advance":
                    self.advance(stage, *message.content)
                elif message.about == "line":
                    worker.log.add(message.content)
                elif message.about == "refused":
                    raise message.content
                else:
                    worker.stage = None
                    self.end(stage, message.content, device)
        except EOFError:
            record = failure_record(stage, worker.death(), worker.log.lines())
            self.store.keep(record)
            stop([worker])
            self.settle(stage, record)
            return False
        return True

    def end(self, stage: Stage, record: Record, device: torch.device) -> None:
        """Settles a stage, or tries it once more where it had to share the memory of a device."""
        out_of_memory = (record.error or "").startswith("OutOfMemoryError")
        if out_of_memory and device.type != "cpu" and stage not in self.alone:
            self.alone.append(stage)
            self.queue.put_back(stage)
        else:
            self.settle(stage, record)

    def advance(self, stage: Stage, what: str, done: int, total: int) -> None:
        """Says how far a stage is, here and in its claim."""
        self.claims.advance(stage.id, what, done, total)
        self.reporter.advance(stage.label, what, done, total)

    def next_stage(self, others: int = 0) -> Stage | None:
        """Claims the next stage that is ready; None where there is none at present.

        Args:
            others: the number of stages that this run computes at present.
        """
        self.look_elsewhere()
        postponed, found = list[Stage](), None
        while found is None and (stage := self.queue.next_stage()):
            if stage in self.alone and others:
                postponed.append(stage)
            elif not self.claims.take(stage.id, stage.kind, stage.label):
                self.elsewhere[stage.id] = stage
            elif record := self.store.find(stage.kind, stage.id):
                self.claims.release(stage.id)  # somebody finished it a moment ago
                self.adopt(stage, record)
            else:
                found = stage
        for stage in postponed:
            self.queue.put_back(stage)
        return found

    def look_elsewhere(self) -> None:
        """Looks after the stages that other runs have claimed."""
        if not self.elsewhere or time.monotonic() - self.looked < _LOOK:
            return
        self.looked = time.monotonic()
        for stage in list(self.elsewhere.values()):
            if record := self.store.find(stage.kind, stage.id):
                del self.elsewhere[stage.id]
                self.adopt(stage, record)
            elif not self.claims.is_claimed(stage.id):
                del self.elsewhere[stage.id]
                record = self.store.failure(stage.kind, stage.id)
                if record and record.finished >= self.began:
                    self.settle(stage, record)
                else:
                    self.queue.put_back(stage)

    def adopt(self, stage: Stage, record: Record) -> None:
        """Notes that another run has finished a stage."""
        self.queue.finish(stage)
        self.outcome.elsewhere.append(stage.label)
        self.reporter.finish(stage, record)

    def settle(self, stage: Stage, record: Record) -> None:
        """Notes that a stage is finished, or has failed with all that build upon it."""
        self.claims.release(stage.id)
        if record.status == "done":
            self.queue.finish(stage)
            self.outcome.computed.append(stage.label)
            self.reporter.finish(stage, record)
            return
        self.outcome.failed[stage.label] = record.error or "unknown error"
        self.reporter.finish(stage, record)
        for lost in self.queue.lose(stage):
            self.outcome.skipped.append(lost.label)
            self.store.keep(failure_record(lost, "not computed: what it builds upon failed"))
            self.reporter.skip(lost)
