"""The name of the class that an attacker aims at, from measurements that may lack it."""

from __future__ import annotations

from collections.abc import Iterable

from remission.records import Cell, PathCurve


def target_name(measured: Iterable[Cell | PathCurve]) -> str | None:
    """Returns the name of the target that some measurements have in common.

    Older records lack it; the first measurement that has it counts for all.
    """
    return next((item.target_name for item in measured if item.target_name is not None), None)
