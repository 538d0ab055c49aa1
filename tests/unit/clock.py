"""A clock that counts steps instead of seconds."""

from __future__ import annotations


class Clock:
    """A clock that moves only when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now
