"""Scores of relapse curves: how much of the backdoor a reactivation brought back.

The relapse gap and the budget that brings half of the backdoor back are those of
:mod:`remission.report.measures.relapse_gap`; here they are taken from the cells of a group.

Intervals (95 %). Over seeds it is the Student-t interval of the seeds' gaps. For one seed the sum
of the relapse gap is taken over the ends of Newcombe's intervals of the differences
P(n_k) - C(n_k), which come from two Wilson intervals each. This treats the errors of all budgets as
fully correlated, since one set of test images is behind all of them, and gives an interval that is
never narrower than with independent errors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from remission.intervals import Interval, around, student_half_width
from remission.records import Cell
from remission.report.groups.estimates import Estimate, by_seed, estimate, gap
from remission.report.groups.group import Group
from remission.report.groups.rows import Column, Row
from remission.report.measures.purified import PurifiedCells, purified, purified_seeds
from remission.report.measures.relapse_gap import Bound, area_between, ratio, reach, weights


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The smallest number of poisoned images with an ASR of one half.

    Args:
        at: for the mean curve; ``<=`` the smallest measured budget, ``>`` the largest one.
        first: for the upper ends of the 95 % intervals of the points.
        last: for the lower ends of these intervals.
    """

    at: Bound
    first: Bound
    last: Bound


@dataclass(frozen=True, kw_only=True)
class Score:
    """The relapse curve of one purified model under one reactivation, compared with the control's.

    Args:
        row: the purifier.
        column: the reactivation, at any of its budgets.
        budgets: the budgets at which both curves were measured.
        cells: the seeds with which the model was purified, and the others.
        gap: the relapse gap; unknown without a control.
        purified_gap: the relapse gap of the purified models alone.
        purified: the budget at which the purified model reaches one half.
        control: the same for the control on the same seeds; None without one.
    """

    row: Row
    column: Column
    budgets: tuple[int, ...]
    cells: PurifiedCells
    gap: Estimate
    purified_gap: Estimate
    purified: Reach
    control: Reach | None

    @property
    def ratio(self) -> Bound | None:
        """How many times as many poisoned images the control takes; None if nothing is known."""
        return ratio(self.purified.at, self.control.at) if self.control else None


def scores(group: Group) -> list[Score]:
    """Returns a score per purifier and reactivation that has at least two budgets above 0."""
    families: dict[str, list[Column]] = {}
    for column in group.columns:
        if column.budget:
            families.setdefault(column.label, []).append(column)
    rows = [row for row in group.rows if not row.reference]
    candidates = [score(group, row, columns) for columns in families.values() for row in rows]
    return [candidate for candidate in candidates if candidate is not None]


def score(group: Group, row: Row, columns: Sequence[Column]) -> Score | None:
    """Returns the score of a purifier under one reactivation; None below two budgets.

    Seeds with which a model collapsed, purification broke it or the purifier returned the victim
    unchanged are left out. So are budgets with which the reactivation broke the model or the
    control.
    """
    columns = [column for column in columns if not group.comparison(row, column).broken]
    gaps = seed_gaps(group, row, columns)
    measured = {c.seed for column in columns for c in row.cells.get(column, ())}
    seeds = set(gaps) or measured - group.unusable_seeds(row)
    ours = _curve({column: row.cells.get(column, ()) for column in columns}, seeds)
    if len(ours) < 2:
        return None
    theirs = _curve({column: group.comparison(row, column).control for column in columns}, seeds)
    shared = tuple(budget for budget in ours if budget in theirs)
    removed = purified_seeds(group, row)
    of_removed = {seed: number for seed, number in gaps.items() if seed in removed}
    return Score(
        row=row,
        column=columns[0],
        budgets=shared if gaps else tuple(ours),
        cells=purified(group, row),
        gap=_relapse_gap(gaps, group, row, columns),
        purified_gap=replace(_relapse_gap(of_removed, group, row, columns), failed=0),
        purified=_reached(ours),
        control=_reached(theirs) if len(theirs) > 1 else None,
    )


def seed_gaps(
    group: Group, row: Row, columns: Sequence[Column], *, whole: bool = False
) -> dict[int, float]:
    """Returns seed -> relapse gap over the budgets that the model and the control both have.

    Only seeds with the same set of budgets count, as areas over different budgets cannot be
    compared: the set that most seeds have, and the largest of such sets.

    Args:
        group: the group that the row belongs to.
        row: a purifier.
        columns: one reactivation at its budgets, which are above 0.
        whole: whether only seeds that have all of these budgets count.
    """
    unusable = group.unusable_seeds(row)
    curves: dict[int, list[tuple[int, float, float]]] = {}
    for column in sorted(columns, key=lambda c: c.budget or 0):
        ours = by_seed(row.cells.get(column, ()), "asr")
        theirs = by_seed(group.comparison(row, column).control, "asr")
        for seed in (ours.keys() & theirs.keys()) - unusable:
            assert column.budget, "a relapse curve is over budgets"
            curves.setdefault(seed, []).append((column.budget, ours[seed], theirs[seed]))
    long = {seed: points for seed, points in curves.items() if len(points) > 1}
    measured = {seed: tuple(n for n, _, _ in points) for seed, points in long.items()}
    count = Counter(measured.values())
    usual = max(count, key=lambda budgets: (count[budgets], len(budgets)), default=())
    if whole:
        usual = tuple(sorted({column.budget for column in columns if column.budget}))
    return {
        seed: area_between(*zip(*points, strict=True))
        for seed, points in sorted(long.items())
        if measured[seed] == usual
    }


def _relapse_gap(
    gaps: dict[int, float], group: Group, row: Row, columns: Sequence[Column]
) -> Estimate:
    failed = sum(c.status == "failed" for column in columns for c in row.cells.get(column, ()))
    values = list(gaps.values())
    if not values:
        return Estimate(failed=failed)
    mean, half = math.fsum(values) / len(values), student_half_width(values)
    if half is not None:
        ends: Interval | None = around(mean, half)
    else:
        ends = _from_test_images(next(iter(gaps)), group, row, columns)
    return Estimate(mean=mean, half_width=half, n=len(values), failed=failed, interval=ends)


def _from_test_images(
    seed: int, group: Group, row: Row, columns: Sequence[Column]
) -> tuple[float, float] | None:
    """Returns the interval of one seed's relapse gap; None where a cell has no interval."""

    def of(cells: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in cells if cell.seed == seed]

    gaps = [
        (
            float(column.budget or 0),
            gap(of(row.cells.get(column, ())), of(group.comparison(row, column).control)),
        )
        for column in sorted(columns, key=lambda c: c.budget or 0)
    ]
    points = [(budget, number) for budget, number in gaps if number.known]
    intervals = [number.interval for _, number in points if number.interval is not None]
    if len(intervals) < len(points):
        return None
    scale = weights([budget for budget, _ in points])
    low = math.fsum(w * ends[0] for w, ends in zip(scale, intervals, strict=True))
    high = math.fsum(w * ends[1] for w, ends in zip(scale, intervals, strict=True))
    return max(-1.0, low), min(1.0, high)


def _curve(cells: Mapping[Column, Sequence[Cell]], seeds: set[int]) -> dict[int, Estimate]:
    """Returns budget -> ASR over some seeds, where it is known, in order of budget."""
    rates = {}
    for column in sorted(cells, key=lambda c: c.budget or 0):
        number = estimate([cell for cell in cells[column] if cell.seed in seeds], "asr")
        if column.budget and number.known:
            rates[column.budget] = number
    return rates


def _reached(curve: dict[int, Estimate]) -> Reach:
    """Returns the budgets at which the mean curve and the ends of its intervals reach one half."""
    budgets = list(curve)
    mean = [number.mean or 0.0 for number in curve.values()]
    ends = [number.interval or (m, m) for number, m in zip(curve.values(), mean, strict=True)]
    return Reach(
        at=reach(budgets, mean),
        first=reach(budgets, [high for _, high in ends]),
        last=reach(budgets, [low for low, _ in ends]),
    )
