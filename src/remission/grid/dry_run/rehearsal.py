"""A rehearsal of work: its loops are timed and cut short, the rest is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Rehearsal:
    """How long work would take that runs within :func:`remission.progress.cutting`.

    Args:
        known: seconds per step of loops that were timed before, by name; those are left out
            altogether, and those that are timed now are added.
        wait: returns when everything that an accelerator was given is done.
        patience: seconds that a loop is timed for. Its first step pays for what is prepared once
            and does not count, unless it took longer than that.
        images: no more are taken of a batch, and the step counts as many times longer; None: all.
    """

    def __init__(
        self,
        known: dict[str, float],
        *,
        wait: Callable[[], None] | None = None,
        patience: float = 0.5,
        images: int | None = None,
    ) -> None:
        self.known, self.patience, self.images, self._wait = known, patience, images, wait
        self._skipped, self._scale, self._began = 0.0, 1.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the rehearsal began, had nothing been cut short."""
        return self._elapsed() + self._skipped

    def _elapsed(self) -> float:
        """Seconds that the rehearsal itself has taken."""
        if self._wait:
            self._wait()
        return time.perf_counter() - self._began

    def enough(self, batch_size: int) -> int:
        """Returns how many images are taken of the batch that is made now."""
        count = min(batch_size, self.images or batch_size)
        self._scale = batch_size / count if count else 1.0
        return count

    def cut(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """Yields some of the items, and counts the others as if they had come."""
        if what in self.known:
            self._skipped += total * self.known[what]
            return
        took, scale, began = list[float](), 1.0, self._elapsed()
        for item, before in self._asked(items):
            scale = self._scale  # before loops within this one change it
            yield item
            took.append(self.seconds - before)
            if self._elapsed() - began > self.patience:
                break
            if len(took) == 1:
                began = self._elapsed()
        if took:
            per_step = sum(took[1:]) / (len(took) - 1) if len(took) > 1 else took[0]
            self._skipped += (total * scale - len(took)) * per_step
            if what:
                self.known[what] = scale * per_step

    def _asked(self, items: Iterable[T]) -> Iterator[tuple[T, float]]:
        """Yields each item and when it was asked for; its maker may call :meth:`enough`."""
        iterator = iter(items)
        while True:
            before, self._scale = self.seconds, 1.0
            try:
                item = next(iterator)
            except StopIteration:
                return
            yield item, before
