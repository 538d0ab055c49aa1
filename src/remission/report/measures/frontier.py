"""Purifiers as curves: clean accuracy lost against relapse, along their settings.

A cell is one attack with one seed. For a cell and a setting, the loss is the clean accuracy below
the victim's, and the relapse is the relapse gap of
:mod:`remission.report.measures.relapse_gap`: a model that was not purified has one, too, since its
ASR is high after every retuning. At a cost of c a purifier has, in each cell, the lowest relapse
among its settings that lose at most c; where no setting does, it leaves the victim as it is, whose
ASR is taken as 1 after each retuning. All purifiers are given this choice by the same test images,
so that it compares purifiers, and does not say what a defender who sees no ASR would get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remission.intervals import mean_of, student_half_width
from remission.report.groups.estimates import by_seed
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM, GroupKey
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column, Row
from remission.report.groups.thresholds import at_most
from remission.report.groups.titles import titles
from remission.report.measures.families import PurifierFamily, families
from remission.report.measures.relapse_gap import area_between
from remission.report.measures.scores import seed_gaps

COSTS = (0.005, 0.01, 0.02, 0.03)
"""Losses of clean accuracy at which purifiers are compared."""

CellKey = tuple[str, int]
"""Title of an attack, seed."""


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One setting of a purifier.

    Args:
        purifier: the method with its parameters.
        label: its name among the rows of the store.
        cells: cell -> (loss, relapse).
    """

    purifier: MethodKey
    label: str
    cells: Mapping[CellKey, tuple[float, float]]

    @property
    def loss(self) -> float:
        """The mean loss of clean accuracy."""
        return mean_of([loss for loss, _ in self.cells.values()])

    @property
    def relapse(self) -> float:
        """The mean relapse gap."""
        return mean_of([relapse for _, relapse in self.cells.values()])


@dataclass(frozen=True, kw_only=True)
class AtCost:
    """A purifier at one cost.

    Args:
        cost: the most clean accuracy that may be lost.
        relapses: cell -> the lowest relapse gap among the settings within the cost.
        affordable: the number of cells in which some setting is within the cost.
    """

    cost: float
    relapses: Mapping[CellKey, float]
    affordable: int

    @property
    def mean(self) -> float:
        """The mean over the cells."""
        return mean_of(list(self.relapses.values()))

    @property
    def half_width(self) -> float | None:
        """Half the width of Student's t interval over the cells; None below two."""
        return student_half_width(list(self.relapses.values()))

    def less(self, other: AtCost) -> tuple[float, float | None, int]:
        """Returns this relapse minus another's in the cells of both: mean, half width, number."""
        return paired_difference(self.relapses, other.relapses)


def paired_difference(
    first: Mapping[CellKey, float], second: Mapping[CellKey, float]
) -> tuple[float, float | None, int]:
    """Returns the first minus the second in the cells of both: mean, half width, number.

    The half width is that of Student's t interval of the differences, None below two cells. Without
    a cell the mean is NaN.
    """
    differences = [first[cell] - second[cell] for cell in first if cell in second]
    if not differences:
        return float("nan"), None, 0
    return mean_of(differences), student_half_width(differences), len(differences)


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """A purifier along its settings, under one reactivation.

    Args:
        purifier: the method without its settings.
        label: its name.
        column: the reactivation, at any of its budgets.
        points: the settings, the gentlest first.
        at: the purifier at each of :data:`COSTS`.
    """

    purifier: MethodKey
    label: str
    column: Column
    points: tuple[FrontierPoint, ...]
    at: tuple[AtCost, ...]


def frontiers(groups: Sequence[Group]) -> list[Frontier]:
    """Returns a frontier per purifier and reactivation with at least two budgets above 0.

    Args:
        groups: groups of one data set, model and setting.
    """
    names, purifiers = titles(groups), families(groups)
    reactivations = dict.fromkeys(
        column.label for group in groups for column in group.columns if column.budget
    )
    found: list[Frontier] = []
    for label in reactivations:
        columns = {
            group.key: [c for c in group.columns if c.budget and c.label == label]
            for group in groups
        }
        unpurified = {
            (names[group.key], seed): gap
            for group in groups
            for seed, gap in unpurified_gaps(group, columns[group.key]).items()
        }
        lines = (_frontier(family, names, columns, unpurified) for family in purifiers)
        found += [line for line in lines if line]
    return found


def _frontier(
    family: PurifierFamily,
    names: Mapping[GroupKey, str],
    columns: Mapping[GroupKey, Sequence[Column]],
    unpurified: Mapping[CellKey, float],
) -> Frontier | None:
    """Returns the frontier of one purifier; None where it was not retuned at two budgets.

    Args:
        family: the purifier with its settings.
        names: the title of each group.
        columns: the budgets of the reactivation in each group.
        unpurified: each cell -> the relapse gap of a model whose ASR is always 1.
    """
    points, tried = [], set[CellKey]()
    for setting, rows in family.settings.items():
        tried |= {(names[group.key], cell.seed) for group, row in rows for cell in row.at(None)}
        cells = {
            (names[group.key], seed): pair
            for group, row in rows
            for seed, pair in _pairs(group, row, columns[group.key]).items()
        }
        if cells:
            points.append(FrontierPoint(purifier=setting, label=rows[0][1].label, cells=cells))
    if not points:
        return None
    worst = {cell: gap for cell, gap in unpurified.items() if cell in tried}
    return Frontier(
        purifier=family.purifier,
        label=family.label,
        column=next(column for listed in columns.values() for column in listed),
        points=tuple(sorted(points, key=lambda point: (point.loss, point.label))),
        at=tuple(at_cost(points, worst, cost) for cost in COSTS),
    )


def at_cost(
    points: Sequence[FrontierPoint], unpurified: Mapping[CellKey, float], cost: float
) -> AtCost:
    """Returns a purifier at a cost.

    Args:
        points: its settings.
        unpurified: each cell in which it was tried -> the relapse gap of a model whose ASR is
            always 1. A setting that broke the model there has no relapse.
        cost: the most clean accuracy that may be lost.
    """
    relapses: dict[CellKey, float] = {}
    affordable = 0
    for cell, worst in unpurified.items():
        pairs = [point.cells[cell] for point in points if cell in point.cells]
        within = [relapse for loss, relapse in pairs if at_most(loss, cost)]
        affordable += bool(within)
        relapses[cell] = min([*within, worst])
    return AtCost(cost=cost, relapses=relapses, affordable=affordable)


def _pairs(group: Group, row: Row, columns: Sequence[Column]) -> dict[int, tuple[float, float]]:
    """Returns seed -> (loss, relapse gap)."""
    losses = group.losses(row)
    gaps = seed_gaps(group, row, columns, whole=True) if len(columns) > 1 else {}
    return {seed: (losses[seed], gap) for seed, gap in gaps.items() if seed in losses}


def unpurified_gaps(group: Group, columns: Sequence[Column]) -> dict[int, float]:
    """Returns seed -> the relapse gap of a model whose ASR is 1 after each retuning.

    It is empty below two budgets.
    """
    control, victim = group.row(CONTROL), group.row(VICTIM)
    if control is None or victim is None or len(columns) < 2:
        return {}
    columns = sorted(columns, key=lambda column: column.budget or 0)
    rates = [by_seed(control.at(column), "asr") for column in columns]
    unusable = group.failed_attacks.union(*map(group.collapsed_seeds, (control, victim)))
    seeds = set(rates[0]).intersection(*rates[1:]) - unusable
    budgets = [float(column.budget or 0) for column in columns]
    return {
        seed: area_between(budgets, [1.0] * len(budgets), [rate[seed] for rate in rates])
        for seed in sorted(seeds)
    }
