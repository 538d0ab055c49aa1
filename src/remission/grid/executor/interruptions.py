"""Ctrl-C and SIGTERM: when a run does not hear them, and who handles them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Blocks Ctrl-C in this thread within this context.

    A process that starts in it does not hear Ctrl-C even before it ignores it. Another thread of
    this process may still receive Ctrl-C, see :func:`tidying`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def tidying() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until this context is left, so that what it tidies up is whole.

    To block a signal would not do: another thread receives it, for which Python then interrupts the
    main thread.
    """
    came = list[int]()
    with handlers_kept():
        if current_thread() is main_thread():
            for each in _INTERRUPTIONS:
                signal.signal(each, lambda number, _: came.append(number))
        yield
    if came and callable(handler := signal.getsignal(came[0])):
        handler(came[0], None)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Sets this process's handlers of interruptions again if a library replaces them meanwhile."""
    before = {each: signal.getsignal(each) for each in _INTERRUPTIONS}
    try:
        yield
    finally:
        if current_thread() is main_thread():
            for each, handler in before.items():
                if handler is not None:  # else it was set outside Python
                    signal.signal(each, handler)


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Lets SIGTERM end this process at once within this context, without any exception.

    The handler of a worker of Ray raises SystemExit, which would look like that of a method.
    """
    with handlers_kept():
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
        yield
