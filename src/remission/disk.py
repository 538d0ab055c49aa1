"""Writing a file whole or not at all, and the folder for what can be had again."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

PART = ".part-"
"""How the name of a file begins while it is written."""


def write_whole(file: Path, chunks: Iterable[bytes], *, writer: str = "") -> None:
    """Writes a file that appears under its name only when all of its content is on the disk.

    A file that has this name already is replaced; where the name is a link, the link is replaced,
    and what it leads to is left alone.

    Args:
        file: its folder must exist.
        chunks: its content, in order.
        writer: becomes part of the name that the file has meanwhile.

    Raises:
        OSError: the file cannot be written. Nothing is left of the attempt.
    """
    part = file.parent / f"{PART}{writer}{'-' if writer else ''}{uuid.uuid4().hex}"
    try:
        with part.open("xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def obstacle(file: Path) -> tuple[str, str] | None:
    """Says what keeps a user's file from being written, before work is done for it.

    A link or a special file, such as ``/dev/null``, would be replaced (:func:`write_whole`).

    Returns:
        The problem and its remedy; None where the file can be written.
    """
    parent = file.absolute().parent
    if file.is_dir():
        return f"'{file}' is a folder", "name a file"
    if not parent.is_dir():
        problem = f"the folder '{file.parent}' for '{file.name}' does not exist"
        return problem, "create it, or name a file in a folder that exists"
    if file.is_symlink() or (file.exists() and not file.is_file()):
        return f"'{file}' is a link or a special file, which would be replaced", "name another file"
    if not os.access(parent, os.W_OK):
        problem = f"'{file}' cannot be written, as nothing may be written to its folder"
        return problem, "name a file in another folder"
    return None


def cache_home() -> Path | None:
    """Returns ``$XDG_CACHE_HOME/remission`` or ``~/.cache/remission``; None without a home."""
    common = os.environ.get("XDG_CACHE_HOME")
    path = os.path.expanduser(f"{common or '~/.cache'}/remission")  # noqa: PTH111 -- pathlib raises
    return None if path.startswith("~") else Path(path)
