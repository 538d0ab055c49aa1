"""A rehearsal of work, whose loops are timed and cut short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import TypeVar

T = TypeVar("T")


class Rehearsal:
    """The duration that work within :func:`remission.progress.cutting` would have.

    Args:
        step_seconds: seconds per step of loops that were timed before, by name. Such loops are
            skipped altogether; loops that are timed now are added.
        wait: returns when an accelerator has finished its work.
        patience: seconds for which a loop is timed. Its first step also pays for preparations that
            are made once, and does not count unless it takes longer than ``patience``.
        images: the most images per batch; a step on a smaller batch than the method's counts as
            proportionally longer. None: the method's batches.
    """

    def __init__(
        self,
        step_seconds: dict[str, float],
        *,
        wait: Callable[[], None] | None = None,
        patience: float = 0.5,
        images: int | None = None,
    ) -> None:
        self.step_seconds, self.patience, self.images, self._wait = (
            step_seconds,
            patience,
            images,
            wait,
        )
        self._skipped, self._scale, self._began = 0.0, 1.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the rehearsal began, as if nothing had been cut short."""
        return self._elapsed() + self._skipped

    def _elapsed(self) -> float:
        """Seconds that the rehearsal itself has taken."""
        if self._wait:
            self._wait()
        return time.perf_counter() - self._began

    def enough(self, batch_size: int) -> int:
        """Returns how many images the next batch takes."""
        count = min(batch_size, self.images or batch_size)
        self._scale = batch_size / count if count else 1.0
        return count

    def cut(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """Yields the first items, and adds the time that the others would have taken."""
        if what in self.step_seconds:
            self._skipped += total * self.step_seconds[what]
            return
        durations, scale, began = list[float](), 1.0, self._elapsed()
        for item, before in self._timed(items):
            scale = self._scale  # before loops within this one change it
            yield item
            durations.append(self.seconds - before)
            if self._elapsed() - began > self.patience:
                break
            if len(durations) == 1:
                began = self._elapsed()
        if durations:
            # the median: one step that waited for another program must not count for thousands
            per_step = median(durations[1:] or durations)
            self._skipped += (total * scale - len(durations)) * per_step
            if what:
                self.step_seconds[what] = scale * per_step

    def _timed(self, items: Iterable[T]) -> Iterator[tuple[T, float]]:
        """Yields each item and when it was requested; its producer may call :meth:`enough`."""
        iterator = iter(items)
        while True:
            before, self._scale = self.seconds, 1.0
            try:
                item = next(iterator)
            except StopIteration:
                return
            yield item, before
