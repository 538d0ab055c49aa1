"""Classes as people read them: by number and, where it is known, by name."""

from __future__ import annotations

from collections.abc import Iterable

from remission.records import Cell, PathCurve
from remission.report.groups.labels import printable


def class_text(index: int | str | None, name: str | None) -> str:
    """Returns a class as tables write it: ``2 (bag)``, or ``2`` without a name.

    Args:
        index: its number, or the word for a goal that is no single class.
        name: its name; None in older records.
    """
    number = str(index)
    return printable(f"{number} ({name})") if name not in (None, number) else number


def target_name(measured: Iterable[Cell | PathCurve]) -> str | None:
    """Returns the name of the target that some measurements have in common.

    Older records lack it; the first measurement that has it counts for all.
    """
    return next((item.target_name for item in measured if item.target_name is not None), None)
