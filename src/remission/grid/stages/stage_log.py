"""The last lines that a stage printed or logged, for the record of its failure."""

from __future__ import annotations

import io
import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

LINES = 20
"""So many lines are kept at most."""
_LONGEST = 500
"""Characters of a line."""


class StageLog:
    """The last lines of a stage, the newest last."""

    def __init__(self) -> None:
        self._lines = deque[str](maxlen=LINES)

    def add(self, text: str) -> None:
        """Adds the lines of a text that are not empty."""
        self._lines.extend(line.rstrip()[:_LONGEST] for line in text.splitlines() if line.strip())

    def lines(self) -> list[str]:
        """Returns the lines."""
        return list(self._lines)

    def clear(self) -> None:
        """Forgets the lines, for the next stage."""
        self._lines.clear()


class Tee(io.TextIOBase):
    """A stream that also hands each whole line to a function.

    Args:
        stream: where the text goes on to.
        heard: called with each line.
    """

    def __init__(self, stream: TextIO, heard: Callable[[str], None]) -> None:
        self._stream, self._heard, self._rest = stream, heard, ""

    def write(self, text: str) -> int:
        """Writes a text."""
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._heard(line)
        return self._stream.write(text)

    def flush(self) -> None:
        """Writes what waits in the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Returns whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Returns the number of the stream's file."""
        return self._stream.fileno()


@contextmanager
def logged(log: StageLog) -> Iterator[None]:
    """Adds what is logged within this context to a log, and the traceback of an exception."""
    handler = _Handler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    except BaseException as error:
        log.add("".join(traceback.format_exception(error)))
        raise
    finally:
        root.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, log: StageLog) -> None:
        super().__init__(logging.INFO)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.add(f"{record.levelname.lower()}: {record.getMessage()}")
