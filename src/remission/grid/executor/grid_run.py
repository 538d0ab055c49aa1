"""The state of one run: what waits, what other runs compute, what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remission.grid.executor.reporter import Reporter, RunOutcome
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record, record_failure
from remission.records import Record, Store
from remission.records.claims import Claims

_LOOK = 1.0
"""Seconds between two looks at what other runs have claimed."""


@dataclass(frozen=True)
class _Elsewhere:
    """A stage that another run has claimed.

    Args:
        stage: the stage.
        failure: its record of an earlier failure when its claim was seen; one that differs is that
            of the other run. Times would not tell, since clocks of computers differ.
    """

    stage: Stage
    failure: Record | None


class GridRun:
    """One run of a plan, whoever computes its stages.

    Args:
        store: read and written.
        claims: of this run.
        reporter: hears how the run goes.
        outcome: filled meanwhile.
        queue: the stages that are to be computed.
        shares_device: whether several stages share the memory of an accelerator.
    """

    def __init__(
        self,
        store: Store,
        claims: Claims,
        reporter: Reporter,
        outcome: RunOutcome,
        queue: StageQueue,
        *,
        shares_device: bool = False,
    ) -> None:
        self.store, self.claims, self.reporter = store, claims, reporter
        self.outcome, self.queue = outcome, queue
        self.shares_device, self.alone = shares_device, set[str]()
        self._elsewhere = dict[str, _Elsewhere]()
        self._looked = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether every stage is finished, failed or skipped."""
        return not len(self.queue)

    def advance(self, stage: Stage, what: str, done: int, total: int) -> None:
        """Says how far a stage is, here and in its claim."""
        self.claims.advance(stage.id, what, done, total)
        self.reporter.advance(stage.label, what, done, total)

    def next_stage(
        self, others: int = 0, *, fits: Callable[[Stage], bool] = lambda stage: True
    ) -> Stage | None:
        """Claims the next stage that is ready; None where there is none at present.

        Args:
            others: the number of stages that this run computes at present.
            fits: whether a stage is wanted; if the next one is not, none is claimed.
        """
        self._look_elsewhere()
        postponed, found = list[Stage](), None
        while found is None and (stage := self.queue.next_stage()):
            if stage.id in self.alone and others:
                postponed.append(stage)
            elif not fits(stage):
                postponed.append(stage)
                break
            elif not self.claims.take(stage.id, stage.kind, stage.label):
                failure = self.store.failure(stage.kind, stage.id)
                self._elsewhere[stage.id] = _Elsewhere(stage, failure)
            elif record := self.store.find(stage.kind, stage.id):
                self.claims.release(stage.id)  # somebody finished it a moment ago
                self._adopt(stage, record)
            else:
                found = stage
        for stage in postponed:
            self.queue.make_ready(stage)
        return found

    def requeue_alone(self, stage: Stage, record: Record) -> bool:
        """Puts a stage back into the queue if it ran out of the memory that it shared with others.

        It is then computed with the device for itself, and is not put back a second time.

        Args:
            stage: a stage that has ended.
            record: how it ended.

        Returns:
            Whether it was put back. If not, its end stands.
        """
        out_of_memory = (record.error or "").startswith("OutOfMemoryError")
        if not out_of_memory or not self.shares_device or stage.id in self.alone:
            return False
        self.alone.add(stage.id)
        self.put_back(stage)
        return True

    def put_back(self, stage: Stage) -> None:
        """Gives a stage back that this run claimed, so that it or another run computes it."""
        self.claims.release(stage.id)
        self.queue.make_ready(stage)

    def _look_elsewhere(self) -> None:
        """Checks whether other runs have finished or given up the stages that they claimed."""
        if not self._elsewhere or time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        for seen in list(self._elsewhere.values()):
            stage = seen.stage
            if record := self.store.find(stage.kind, stage.id):
                del self._elsewhere[stage.id]
                self._adopt(stage, record)
            elif not self.claims.is_claimed(stage.id):
                del self._elsewhere[stage.id]
                record = self.store.failure(stage.kind, stage.id)
                if record and record != seen.failure:
                    self.settle(stage, record)
                else:
                    self.queue.make_ready(stage)

    def _adopt(self, stage: Stage, record: Record) -> None:
        """Notes that another run has finished a stage."""
        self.queue.finish(stage)
        self.outcome.elsewhere.append(stage.label)
        self.reporter.finish(stage, record)

    def fail(self, stage: Stage, reason: str, log: Sequence[str] = ()) -> None:
        """Records and notes that a stage failed, unless its result is in the store after all.

        A worker may die, or fall silent, between its last write and the end of its stage.

        Args:
            stage: the stage.
            reason: why, in one line.
            log: the last lines that it printed or logged.
        """
        self.settle(stage, record_failure(self.store, failure_record(stage, reason, log)))

    def settle(self, stage: Stage, record: Record) -> None:
        """Notes that a stage is finished; or that it failed, and skips all that build upon it."""
        self.claims.release(stage.id)
        if record.status == "done":
            self.queue.finish(stage)
            self.outcome.computed.append(stage.label)
            self.reporter.finish(stage, record)
            return
        self.outcome.failed[stage.label] = record.error or "unknown error"
        self.reporter.finish(stage, record)
        for skipped in self.queue.fail(stage):
            self.outcome.skipped.append(skipped.label)
            reason = "skipped: a stage that it builds upon failed"
            record_failure(self.store, failure_record(skipped, reason))
            self.reporter.skip(skipped)
