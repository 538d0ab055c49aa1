"""The view ``frontier``: what each purifier reaches at equal loss of clean accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Json
from remission.report.groups.estimates import MISSING, plus_minus, points
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.groups.titles import comparison_title
from remission.report.measures.frontier import COSTS, AtCost, Frontier, frontiers
from remission.report.tables.columns import TableColumn, objects_of_overviews, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_NOTE = (
    "relapse gap, in points: the mean distance of the ASR above the control's over the logarithm "
    "of the number of poisoned images; 0 is the control's. At each loss of clean accuracy a "
    "purifier has, in each cell (one attack with one seed), the lowest relapse gap among its "
    "settings that lose at most as much, by the test images; where none does, the victim stays as "
    "it is, with an ASR of 100. ± half width of the 95 % Student-t interval over the cells. Within "
    "1 point: the cells in which a setting loses at most one point. Rows are ordered by the column "
    "of one point"
)
_ORDER = COSTS.index(0.01)


def _gap(at: AtCost) -> str:
    if not at.relapses:
        return MISSING
    return points(at.mean) + plus_minus(at.half_width)


def _at(index: int, cost: float) -> TableColumn[Frontier, Frontier]:
    return TableColumn(
        header=f"at {100 * cost:g}",
        text=lambda line: _gap(line.at[index]),
        shade=lambda line: max(0.0, line.at[index].mean) if line.at[index].relapses else None,
    )


COLUMNS: list[TableColumn[Frontier, Frontier]] = [
    TableColumn(
        header="purifier",
        text=lambda line: line.label,
        key="label",
        value=lambda line: line.label,
    ),
    TableColumn(header="reactivation", text=lambda line: line.column.label, varies=True),
    TableColumn(
        header="settings",
        text=lambda line: str(len(line.points)),
        key="settings",
        value=lambda line: len(line.points),
    ),
    *(_at(index, cost) for index, cost in enumerate(COSTS)),
    TableColumn(
        header="within 1 point",
        text=lambda line: f"{line.at[_ORDER].affordable} of {len(line.at[_ORDER].relapses)}",
    ),
    TableColumn(key="purifier", value=lambda line: line.purifier.name),
    TableColumn(key="purifier_params", value=lambda line: line.purifier.parameters),
    TableColumn(key="reactivation", value=lambda line: line.column.reactivation.name),
    TableColumn(key="reactivation_params", value=lambda line: line.column.reactivation.parameters),
    TableColumn(
        key="at_cost",
        value=lambda line: [
            {
                "clean_acc_lost": at.cost,
                "relapse_gap": at.mean if at.relapses else None,
                "relapse_gap_half_width": at.half_width,
                "cells_within": at.affordable,
                "cells": [
                    {"attack": attack, "seed": seed, "relapse_gap": gap}
                    for (attack, seed), gap in at.relapses.items()
                ],
            }
            for at in line.at
        ],
    ),
    TableColumn(
        key="points",
        value=lambda line: [
            {
                "label": point.label,
                "purifier_params": point.purifier.parameters,
                "clean_acc_lost": point.loss,
                "relapse_gap": point.relapse,
                "cells": len(point.cells),
            }
            for point in line.points
        ],
    ),
]


def frontier_lines(groups: Sequence[Group]) -> list[Frontier]:
    """Returns the purifiers of the groups of one data set and model, in the order of the table."""

    def key(line: Frontier) -> tuple[str, float, str]:
        at = line.at[_ORDER]
        return line.column.label, at.mean if at.relapses else float("inf"), line.label

    return sorted(frontiers(groups), key=key)


def frontier_table(groups: Sequence[Group], lines: Sequence[Frontier], setting: str) -> Table:
    """Builds the table of the groups of one data set and model.

    Args:
        groups: the groups.
        lines: their purifiers.
        setting: their difference to other groups of the same data set and model; may be empty.
    """
    key = groups[0].key
    title = comparison_title(key.dataset, key.arch, "equal cost", setting)
    return table_of(COLUMNS, lines, title=title, notes=[_NOTE])


def _tables(results: Results) -> list[Table]:
    """Builds one table per data set, model and setting."""
    return [
        frontier_table(groups, lines, setting)
        for groups, setting in zip(results.overviews, results.overview_settings, strict=True)
        if (lines := frontier_lines(groups))
    ]


def _objects(results: Results) -> list[Json]:
    """Builds one object per purifier and reactivation, rates as fractions."""
    return objects_of_overviews(COLUMNS, frontier_lines, results)


register_view(
    View(
        name="frontier",
        summary="what each purifier reaches at equal loss of clean accuracy",
        empty="no purified model is retuned at two budgets yet, which a relapse gap needs",
        tables=_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
