"""How people are told which class is the target: by its number and, where it is known, its name."""

from __future__ import annotations

from collections.abc import Iterable

from remission.records import Cell, PathCurve
from remission.report.groups.labels import printable


def class_text(index: int | str | None, name: str | None) -> str:
    """A class as tables write it: ``2 (bag)``; without a name that says more, ``2``.

    Args:
        index: its number, or the word for a goal that is no single class.
        name: its name; None in older records.
    """
    number = str(index)
    return printable(f"{number} ({name})") if name not in (None, number) else number


def target_name(measured: Iterable[Cell | PathCurve]) -> str | None:
    """The name of the target that some measurements have in common.

    Records of before the names were noted have none: they take those of the others.
    """
    return next((one.target_name for one in measured if one.target_name is not None), None)
