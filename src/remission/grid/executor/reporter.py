"""Who is told how a run goes, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from remission.grid.plan.stage import Stage
from remission.records import Record


class Reporter(Protocol):
    """Who is told how a run goes; all calls come from one thread at a time."""

    def note(self, sentence: str) -> None:
        """Something about the data that a user should read once; it comes before the run starts."""

    def begin(self, stages: int, stored: int) -> None:
        """The run starts: so many stages, of which so many are stored already."""

    def start(self, stage: Stage) -> None:
        """A stage starts."""

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Inside a stage, ``done`` of ``total`` steps of ``what`` are finished."""

    def finish(self, stage: Stage, record: Record) -> None:
        """A stage is finished, or has failed."""

    def skip(self, stage: Stage) -> None:
        """A stage cannot be computed, since one that it builds upon failed."""


@dataclass
class Outcome:
    """How a run went."""

    computed: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """label -> why, one line."""
    skipped: list[str] = field(default_factory=list)


class SilentReporter:
    """Tells nobody."""

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
