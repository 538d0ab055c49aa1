"""Standard output and error: which letters they take, and what happens when nobody reads them."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from pathlib import Path
from typing import Any


class _Patient(io.FileIO):
    """A stream whose reader may leave: what comes afterwards is dropped."""

    def write(self, data: Any) -> int:  # noqa: ANN401 -- a buffer, which 3.11 has no name for
        """Writes the bytes, or drops them."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def mend_streams(*, may_lose_reader: bool) -> None:
    """Makes sure that neither a closed stream nor a letter that it cannot write ends a run.

    Results in a pipe or a file are UTF-8 whatever the locale, unless PYTHONIOENCODING asks for
    another encoding. A letter that an encoding lacks is written as JSON escapes it.

    Args:
        may_lose_reader: whether the command goes on where the reader of a pipe leaves, as one does
            whose results are files.
    """
    codecs.register_error(_ESCAPED, _escape)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            free = name == "stdout" and not stream.isatty()
            utf8 = free and not os.environ.get("PYTHONIOENCODING")
            encoding = "utf-8" if utf8 else None
            if may_lose_reader and _is_pipe(stream):
                stream = _patient(stream)
                setattr(sys, name, stream)
            stream.reconfigure(encoding=encoding, errors=_ESCAPED)


def _is_pipe(stream: io.TextIOWrapper) -> bool:
    """Returns whether a stream leads out of this process, to another reader than a terminal."""
    try:
        return stream.fileno() in (1, 2) and not stream.isatty()
    except io.UnsupportedOperation:  # it is kept in memory
        return False


def _patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Returns a stream in another one's place whose reader may leave."""
    stream.flush()
    raw = io.BufferedWriter(_Patient(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, line_buffering=stream.line_buffering)


_ESCAPED = "remission-escaped"
"""The name by which streams know :func:`_escape`."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Returns the JSON escapes of the letters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return json.dumps(letters, ensure_ascii=True)[1:-1], error.end
