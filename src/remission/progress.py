"""Where long work says how far it is. Silent unless somebody listens.

An author of a loop that takes long needs one function, :func:`tracked`, and if the loop makes its
own batches a second one, :func:`enough`. The command line installs a listener for the time of a
run, a dry run something that cuts loops short. Both live in context variables, so that two runs in
one process do not disturb each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")

Listener = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


class LoopCutter(Protocol):
    """Cuts loops short, as a dry run does to find out how long they would take."""

    def cut(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """Yields some of the items; arguments as for :func:`tracked`."""

    def enough(self, batch_size: int) -> int:
        """Returns how many images of the next batch are to be worked on."""


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


_listener: ContextVar[Listener] = ContextVar("listener", default=_silent)
_cutter: ContextVar[LoopCutter | None] = ContextVar("cutter", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Lets ``listener`` hear every :func:`advance` within this context."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def cutting(cutter: LoopCutter) -> Iterator[None]:
    """Lets ``cutter`` cut every :func:`tracked` loop short within this context."""
    token = _cutter.set(cutter)
    try:
        yield
    finally:
        _cutter.reset(token)


def advance(what: str, done: int, total: int) -> None:
    """Says that ``done`` of ``total`` steps of ``what`` are finished."""
    _listener.get()(what, done, total)


@contextmanager
def within(where: str) -> Iterator[None]:
    """Says ``where`` in front of what every loop within this context does, as in "3/40, training".

    A dry run still takes loops of one name for equally long, wherever they are.
    """
    listener = _listener.get()

    def louder(what: str, done: int, total: int) -> None:
        listener(f"{where}, {what}", done, total)

    with listening(louder):
        yield


def tracked(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields ``items`` and says how far the loop is, each time that an item was dealt with.

    A dry run times the loop and ends it early (:mod:`remission.grid.dry_run`), and may hand it
    smaller batches. So the loop must leave something usable behind even if it does not get to the
    end, or not even to the first item: it fills a tensor of the right size that is there before the
    loop begins, rather than appending to a list.

    Args:
        items: at most ``total``.
        what: is being done; nothing is said if it is empty. A dry run takes all loops of one name
            in one method for equally long per step.
        total: number of items.
    """
    if (cutter := _cutter.get()) is not None:
        yield from cutter.cut(items, what, total)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if what:
            advance(what, done, total)


def enough(batch_size: int) -> int:
    """Returns how many images of a batch to work on: all, but fewer in a dry run.

    A loop that makes its own batches asks this for each of them, at the time that it makes it.
    """
    cutter = _cutter.get()
    return batch_size if cutter is None else cutter.enough(batch_size)
