"""Where long work says how far it is. Silent unless somebody listens.

The command line installs a listener for the time of a run; methods only ever loop over
:func:`tracked`, or call :func:`advance`. The listener lives in a context variable, so that two runs
in one process do not hear each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

Listener = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


_listener: ContextVar[Listener] = ContextVar("progress", default=_silent)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within this context ``listener`` hears every :func:`advance`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def advance(what: str, done: int, total: int) -> None:
    """Says that ``done`` of ``total`` steps of ``what`` are finished."""
    _listener.get()(what, done, total)


def tracked(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields ``items`` and says how far it is, each time that one was dealt with.

    In a :func:`rehearsing` context it ends early, so a loop over it must leave something usable
    behind even then: it fills what was made before, instead of collecting what it gets.

    Args:
        items: at most ``total``.
        what: is being done; nothing is said if empty.
        total: number of items.
    """
    rehearsal = _rehearsal.get()
    if rehearsal is not None:
        yield from rehearsal.cut(items, what, total)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if what:
            advance(what, done, total)


class Rehearsal:
    """How long work would take: its loops are timed and cut short.

    Args:
        known: seconds per step of loops that were timed before, by name; those are left out
            altogether, and those that are timed now are added.
        wait: returns when everything that an accelerator was given is done.
        patience: seconds that a loop is timed for. Its first step pays for what is prepared once
            and does not count, unless it took longer than that.
    """

    def __init__(
        self,
        known: dict[str, float],
        *,
        wait: Callable[[], None] | None = None,
        patience: float = 0.5,
    ) -> None:
        self.known, self.patience, self._wait = known, patience, wait
        self._skipped, self._began = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the rehearsal began, had nothing been cut short."""
        if self._wait:
            self._wait()
        return time.perf_counter() - self._began + self._skipped

    def cut(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """Yields some of the items, and counts the others as if they had come."""
        if what in self.known:
            self._skipped += total * self.known[what]
            return
        times = [self.seconds]
        for item in items:
            yield item
            times.append(self.seconds)
            began = times[1] if len(times) > 2 else times[0]
            if times[-1] - began > self.patience:
                break
        if (done := len(times) - 1) > 0:
            each = (times[-1] - times[1]) / (done - 1) if done > 1 else times[1] - times[0]
            self._skipped += (total - done) * each
            if what:
                self.known[what] = each


_rehearsal: ContextVar[Rehearsal | None] = ContextVar("rehearsal", default=None)


@contextmanager
def rehearsing(rehearsal: Rehearsal) -> Iterator[None]:
    """Within this context every :func:`tracked` loop is timed and cut short."""
    token = _rehearsal.set(rehearsal)
    try:
        yield
    finally:
        _rehearsal.reset(token)
