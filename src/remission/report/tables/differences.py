"""The view ``differences``: every purifier against every other at equal loss of clean accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations

from remission.records import Json
from remission.report.groups.estimates import MISSING, plus_minus, points
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.groups.titles import comparison_title
from remission.report.measures.frontier import COSTS, Frontier
from remission.report.tables.columns import TableColumn, objects_of_overviews, table_of
from remission.report.tables.formats import Table
from remission.report.tables.frontier import frontier_lines
from remission.report.tables.views import View, register_view

_NOTE = (
    "relapse gap of the row minus that of the column, in points, both at a loss of clean accuracy "
    "of at most {cost:g} points (see the view frontier); below 0 the row relapses less. Each value "
    "is the mean over the cells (one attack with one seed) in which both purifiers were tried, ± "
    "half the width of the 95 % Student-t interval of the differences. A number in brackets is the "
    "number of these cells, where the row was tried in more"
)


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Two purifiers at one cost.

    Args:
        first: the purifier.
        second: the one that it is compared with.
        index: index of the cost in :data:`COSTS`.
    """

    first: Frontier
    second: Frontier
    index: int

    @property
    def value(self) -> tuple[float, float | None, int]:
        """The mean difference, half the width of its interval, and the number of cells."""
        return self.first.at[self.index].less(self.second.at[self.index])

    @property
    def text(self) -> str:
        """The difference in points, for people."""
        mean, half, number = self.value
        if not number:
            return MISSING
        text = points(mean) + plus_minus(half)
        return text if number == len(self.first.at[self.index].relapses) else f"{text} ({number})"


COLUMNS: list[TableColumn[PairedDifference, PairedDifference]] = [
    TableColumn(key="clean_acc_lost", value=lambda pair: COSTS[pair.index]),
    TableColumn(key="label", value=lambda pair: pair.first.label),
    TableColumn(key="purifier", value=lambda pair: pair.first.purifier.name),
    TableColumn(key="purifier_params", value=lambda pair: pair.first.purifier.parameters),
    TableColumn(key="other_label", value=lambda pair: pair.second.label),
    TableColumn(key="other", value=lambda pair: pair.second.purifier.name),
    TableColumn(key="other_params", value=lambda pair: pair.second.purifier.parameters),
    TableColumn(key="reactivation", value=lambda pair: pair.first.column.reactivation.name),
    TableColumn(
        key="reactivation_params", value=lambda pair: pair.first.column.reactivation.parameters
    ),
    TableColumn(key="difference", value=lambda pair: pair.value[0] if pair.value[2] else None),
    TableColumn(key="difference_half_width", value=lambda pair: pair.value[1]),
    TableColumn(key="cells", value=lambda pair: pair.value[2]),
]
"""What programs see; people see one table per cost, with a row and a column per purifier."""


def differences(groups: Sequence[Group]) -> Iterator[PairedDifference]:
    """Yields every ordered pair of purifiers under the same reactivation, at each cost."""
    for _, lines in groupby(frontier_lines(groups), key=lambda line: line.column.label):
        pairs = list(permutations(lines, 2))
        for index in range(len(COSTS)):
            for first, second in pairs:
                yield PairedDifference(first=first, second=second, index=index)


def _against(other: Frontier, index: int) -> TableColumn[Frontier, Frontier]:
    def text(line: Frontier) -> str:
        pair = PairedDifference(first=line, second=other, index=index)
        return "" if line is other else pair.text

    return TableColumn(header=other.label, text=text)


def _tables(results: Results) -> list[Table]:
    """Builds one table per data set, model, setting, reactivation and cost."""
    tables = []
    for groups, setting in zip(results.overviews, results.overview_settings, strict=True):
        for label, found in groupby(frontier_lines(groups), key=lambda line: line.column.label):
            if len(lines := list(found)) > 1:
                tables += [
                    _table(groups, lines, index, label, setting) for index in range(len(COSTS))
                ]
    return tables


def _table(
    groups: Sequence[Group], lines: Sequence[Frontier], index: int, label: str, setting: str
) -> Table:
    cost, key = 100 * COSTS[index], groups[0].key
    title = f"{label}: paired differences at {cost:g} point{'' if cost == 1 else 's'}"
    return table_of(
        [
            TableColumn(header="purifier", text=lambda line: line.label),
            *(_against(other, index) for other in lines),
        ],
        lines,
        title=comparison_title(key.dataset, key.arch, title, setting),
        notes=[_NOTE.format(cost=cost)],
    )


def _objects(results: Results) -> list[Json]:
    """Builds one object per cost and ordered pair of purifiers, rates as fractions."""
    return objects_of_overviews(COLUMNS, lambda groups: list(differences(groups)), results)


register_view(
    View(
        name="differences",
        summary="paired differences between purifiers at equal loss of clean accuracy",
        empty="fewer than two purifiers have been retuned with at least two budgets",
        tables=_tables,
        objects=_objects,
    )
)
