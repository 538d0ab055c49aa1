"""What a stage hands back to be kept, and what it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from remission.metrics import Rate, Rates
from remission.records import PathCurve, Plane, Record


@dataclass(frozen=True)
class Spent:
    """Wall-clock seconds, and processor seconds over all threads (None: not known)."""

    seconds: float = 0.0
    cpu: float | None = 0.0

    @classmethod
    def until_now(cls) -> Spent:
        """Since a moment of no meaning: subtract an earlier one."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def on(cls, record: Record) -> Spent:
        """By the stage of a record."""
        return cls(record.seconds, record.cpu_seconds)

    def __sub__(self, other: Spent) -> Spent:
        """From an earlier moment to this one."""
        cpu = None if self.cpu is None or other.cpu is None else self.cpu - other.cpu
        return Spent(self.seconds - other.seconds, cpu)

    def __add__(self, other: Spent) -> Spent:
        """Both."""
        cpu = None if self.cpu is None or other.cpu is None else self.cpu + other.cpu
        return Spent(self.seconds + other.seconds, cpu)


@dataclass
class Kept:
    """What a stage hands back to be kept."""

    files: dict[str, bytes] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    rates: Rates | Rate | None = None
    paths: tuple[PathCurve, ...] = ()
    plane: Plane | None = None
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of the cell."""
    spent: Spent | None = None
    """By the method itself; None: by the stage, loading and measuring included."""
    before: Spent = Spent()
    """In earlier stages that this cell's model alone has to answer for."""
