"""Names that people type and names that lie on disk, compared however their letters are encoded.

Unicode writes ``é`` as one character (NFC) or as ``e`` and an accent (NFD). Both look the same;
keyboards give the first, some file systems the second.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path


def composed(text: str) -> str:
    """``text`` in the form that names are compared in: NFC."""
    return unicodedata.normalize("NFC", text)


def printable(text: str) -> str:
    """``text`` on one line: a control character in a user's name would break a table or a terminal.

    Bytes of a file's name that are no UTF-8, which Python holds as surrogates, are escaped too.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def class_text(index: int | str | None, name: str | None) -> str:
    """A class by number and, where it is known, by name: ``2 (bag)``, or ``2``.

    Args:
        index: its number, or the word for a goal that is no single class.
        name: its name; None where it is not known.
    """
    number = str(index)
    return printable(f"{number} ({name})") if name not in (None, number) else number


def find_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that reads as ``name`` does, the identical one first; None without one."""
    names = list(known)
    if name in names:
        return name
    return next((other for other in names if composed(other) == composed(name)), None)


def on_disk(path: Path) -> Path:
    """``path`` as the disk spells it: each part that does not exist by the name that reads alike.

    What exists in no spelling is returned as it is.
    """
    if _exists(path) or path.parent == path:
        return path
    folder = on_disk(path.parent)
    try:
        name = find_name(path.name, (entry.name for entry in folder.iterdir()))
    except (OSError, ValueError):  # no folder, not readable, or a name that no disk can have
        name = None
    return path if name is None else folder / name


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or that holds a zero byte
        return False
