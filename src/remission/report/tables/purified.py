"""The two numbers of :mod:`remission.report.measures.purified`, for people and for programs."""

from __future__ import annotations

from remission.records import Json
from remission.report.groups.estimates import MISSING, Estimate, plus_minus, points
from remission.report.measures.purified import PurifiedCells


def purified_text(cells: PurifiedCells) -> str:
    """Returns how many cells were purified: ``4 of 6 (1 not applied)``."""
    others = {
        "not applied": cells.not_applied,
        "broken": cells.broken,
        "collapsed": cells.collapsed,
        "failed": cells.failed,
    }
    more = ", ".join(f"{count} {word}" for word, count in others.items() if count)
    if not cells.cells:
        return more or MISSING
    return f"{cells.purified} of {cells.cells}" + (f" ({more})" if more else "")


def gap_text(number: Estimate) -> str:
    """Returns a gap with its interval, in points."""
    if number.mean is None:
        return MISSING
    text = points(number.mean)
    if number.half_width is not None:
        return text + plus_minus(number.half_width)
    if number.interval:
        return f"{text} [{points(number.interval[0])}, {points(number.interval[1])}]"
    return text


def relapse_text(cells: PurifiedCells) -> str:
    """Returns the mean relapse of the purified cells with its interval, in points."""
    number = cells.relapse
    text = gap_text(number)
    if number.mean is None or number.n == cells.purified:
        return text
    return f"{text} ({number.n} of {cells.purified} cells)"


def counts_of(cells: PurifiedCells, prefix: str = "") -> Json:
    """Returns the numbers of cells for programs; ``prefix`` begins their names."""
    return {
        f"{prefix}cells": cells.cells,
        f"{prefix}cells_purified": cells.purified,
        f"{prefix}cells_not_applied": cells.not_applied,
        f"{prefix}cells_broken": cells.broken,
        f"{prefix}cells_collapsed": cells.collapsed,
        f"{prefix}cells_failed": cells.failed,
    }


def numbers_of(cells: PurifiedCells, prefix: str = "") -> Json:
    """Returns both numbers for programs, rates as fractions; ``prefix`` begins their names."""
    number = cells.relapse
    low, high = number.interval or (None, None)
    return counts_of(cells, prefix) | {
        f"{prefix}relapse_of_purified": number.mean,
        f"{prefix}relapse_of_purified_half_width": number.half_width,
        f"{prefix}relapse_of_purified_low": low,
        f"{prefix}relapse_of_purified_high": high,
        f"{prefix}relapse_of_purified_cells": number.n,
    }
