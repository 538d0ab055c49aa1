"""Models that lost their clean accuracy: what is measured of them says nothing of a backdoor."""

from __future__ import annotations

from collections.abc import Iterator

from remission.report.groups.estimates import Estimate, gap, gap_by_seed
from remission.report.groups.group import Column, Group, Row
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.labels import printable

LOSS = 0.10
"""A model counts as broken that lost more clean accuracy than this."""


def losses(group: Group, row: Row) -> dict[int, float]:
    """Seed -> clean accuracy that purification cost, against the victim of that seed."""
    victim = group.row(VICTIM)
    before = victim.cells.get(None, ()) if victim else ()
    return {
        seed: -change
        for seed, change in gap_by_seed(row.cells.get(None, ()), before, "clean_acc").items()
    }


def broken_seeds(group: Group, row: Row) -> set[int]:
    """Those with which purification broke the model."""
    return {seed for seed, loss in losses(group, row).items() if loss > LOSS}


def breaks(group: Group, row: Row, column: Column) -> bool:
    """Whether a reactivation broke a model or the control beside it, so that no gap tells anything.

    Where images are perturbed no model is changed.
    """
    if group.perturbed(column):
        return False
    beside = [other for other in group.rows if other.purifier.name == CONTROL]
    return any(_fall(each, column) > LOSS for each in (row, *beside))


Gaps = list[tuple[Column, Estimate]]


def gaps(group: Group, row: Row) -> tuple[Gaps, Gaps]:
    """The known gaps of a row to the control, column by column, and those that tell anything."""
    found = [(column, group.gap(row, column)) for column in group.columns]
    known = [(column, gap) for column, gap in found if gap.known]
    return known, [(column, gap) for column, gap in known if not breaks(group, row, column)]


def broken(group: Group) -> str:
    """The models that a reactivation broke, in a sentence; or nothing.

    Of those that change weights; perturbed images have a table of their own.
    """
    if not (found := list(_broken(group))):
        return ""
    return (
        f"clean accuracy is more than {100 * LOSS:.0f} points lower after the reactivation of "
        f"{listed(found)}: an ASR there is that of a broken model, and not judged"
    )


def _broken(group: Group) -> Iterator[str]:
    for row in group.rows:
        for column in group.columns:
            if not group.perturbed(column) and _fall(row, column) > LOSS:
                after = row.number("clean_acc", column).mean or 0.0
                yield f"{row.label} ({printable(column.title)}: {100 * after:.1f})"


def _fall(row: Row, column: Column) -> float:
    """How far a reactivation lowers clean accuracy, seed by seed; 0 where that is not known."""
    change = gap(row.cells.get(column, ()), row.cells.get(None, ()), "clean_acc").mean
    return 0.0 if change is None else -change


def listed(names: list[str]) -> str:
    """``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
