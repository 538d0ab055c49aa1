"""Where long work says how far it is. Silent unless somebody listens.

The command line installs a listener for the time of a run; methods only ever call
:func:`advance`. The listener lives in a context variable, so that two runs in one process do not
hear each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
