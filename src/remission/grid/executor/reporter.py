"""Reporters, which hear how a run goes, and the outcome of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from remission.grid.plan.stage import Stage
from remission.records import Record


class Reporter(Protocol):
    """Hears how a run goes; all calls come from one thread at a time."""

    def note(self, sentence: str) -> None:
        """Hears what a user should know about the data; once, before the run starts."""

    def begin(self, stages: int, stored: int) -> None:
        """Hears that the run starts, with the numbers of stages in all and of stored ones."""

    def start(self, stage: Stage) -> None:
        """Hears that a stage starts."""

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Hears that ``done`` of ``total`` steps of ``what`` are finished inside a stage."""

    def finish(self, stage: Stage, record: Record) -> None:
        """Hears that a stage is finished, or has failed."""

    def skip(self, stage: Stage) -> None:
        """Hears that a stage is skipped, since one that it builds upon failed."""


@dataclass
class RunOutcome:
    """How a run ended: the labels of its stages.

    Args:
        computed: stages that were computed.
        stored: stages that the store held already.
        elsewhere: stages that another run on the same store computed meanwhile.
        failed: label of a stage that failed -> the reason, one line.
        skipped: stages that build upon one that failed.
    """

    computed: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


class SilentReporter:
    """Keeps silent."""

    def note(self, sentence: str) -> None:
        """Says nothing."""

    def begin(self, stages: int, stored: int) -> None:
        """Says nothing."""

    def start(self, stage: Stage) -> None:
        """Says nothing."""

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Says nothing."""

    def finish(self, stage: Stage, record: Record) -> None:
        """Says nothing."""

    def skip(self, stage: Stage) -> None:
        """Says nothing."""
