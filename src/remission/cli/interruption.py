"""Ctrl-C and SIGTERM of the command line: the first ends the command, those right behind do not."""

from __future__ import annotations

import signal
import time
from types import FrameType

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
_PAUSE = 5.0
"""Seconds after an interruption in which further ones say nothing new."""


class Interruption:
    """Turns Ctrl-C and SIGTERM into KeyboardInterrupt, once within some seconds.

    A second one right behind the first would otherwise end the tidying that the first began.
    Service managers and batch systems stop a program by SIGTERM.
    """

    def __init__(self) -> None:
        self._last = -_PAUSE

    def install(self) -> None:
        """Sets the handlers; Ctrl-C that this process was started to ignore stays ignored."""
        for each in _INTERRUPTIONS:
            if each is signal.SIGTERM or signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._interrupt)

    def ignore_further(self) -> None:
        """Ignores both from now on: the command is over but for its last line."""
        for each in _INTERRUPTIONS:
            signal.signal(each, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        now = time.monotonic()
        if now - self._last >= _PAUSE:
            self._last = now
            raise KeyboardInterrupt
