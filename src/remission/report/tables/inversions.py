"""The view ``inversions``: the class that each inversion names, and the true target class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from remission.names import class_text
from remission.records import Cell, Json, Record
from remission.report.groups.estimates import MISSING
from remission.report.groups.keys import NOBODY, GroupKey
from remission.report.groups.labels import MethodKey, label_methods, printable
from remission.report.groups.results import Results
from remission.report.groups.settings import setting_labels
from remission.report.groups.targets import target_name
from remission.report.measures.findings import (
    Finding,
    margins,
    moved,
    named,
    reached,
    standing_out,
    votes,
)
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_NOTE = (
    "images reached: percent of the images of other classes that the inverted trigger moves into "
    "the class named; change: the root mean square change of pixels in [0, 1]; lead: how many "
    "times as large a change the next class needs per image that arrives, for inversions that "
    "search all classes; where it is near 1, no class stands out, and the class named may be any"
)
_VOTED = (
    "margin lead: how many times as far the maximum margin of the class stands above that of "
    "models trained on clean images as the margin of the next class does; vote: the sum of the "
    "logarithms of both leads, each in standard deviations on models that nobody attacked; classes "
    "with 'or' between them: the inversion abstains from naming one, and suspects these"
)


@dataclass(frozen=True, kw_only=True)
class GridInversion:
    """One inversion of the grid.

    Args:
        cell: the first purified model that used it.
        key: the group of that model.
        method: the inversion with its parameters.
        finding: its answer about the victim.
    """

    cell: Cell
    key: GroupKey
    method: MethodKey
    finding: Finding

    @property
    def innocent(self) -> bool:
        """Whether the model was never backdoored."""
        return self.cell.attack == NOBODY


@dataclass(frozen=True, kw_only=True)
class InversionLine:
    """One inversion of one attack over its seeds, with their labels."""

    attack: str
    inversion: str
    setting: str
    seeds: Sequence[GridInversion]

    @property
    def findings(self) -> list[Finding]:
        """Its answers, seed by seed."""
        return [inversion.finding for inversion in self.seeds]

    @property
    def true_class(self) -> str:
        """The class that the attacker wants."""
        if self.seeds[0].innocent:
            return "none: never backdoored"
        cells = [inversion.cell for inversion in self.seeds]
        classes = [class_text(cell.target, target_name([cell])) for cell in cells]
        if len({cell.target for cell in cells}) > 1:  # one target per seed
            return ", ".join(classes)
        return class_text(cells[0].target, target_name(cells))


InversionColumn = TableColumn[InversionLine, GridInversion]
COLUMNS: list[InversionColumn] = [
    InversionColumn(key="dataset", value=lambda inversion: inversion.cell.dataset),
    InversionColumn(key="arch", value=lambda inversion: inversion.cell.arch),
    InversionColumn(
        header="attack",
        text=lambda line: line.attack,
        key="attack",
        value=lambda inversion: inversion.cell.attack,
    ),
    InversionColumn(key="attack_params", value=lambda inversion: inversion.cell.attack_params),
    InversionColumn(key="poison_rate", value=lambda inversion: inversion.cell.poison_rate),
    InversionColumn(
        header="setting",
        text=lambda line: line.setting,
        key="setting",
        value=lambda inversion: inversion.key.subject()["setting"],
        varies=True,
    ),
    InversionColumn(key="true_target", value=lambda inversion: inversion.cell.target),
    InversionColumn(key="true_target_name", value=lambda inversion: inversion.cell.target_name),
    InversionColumn(key="seed", value=lambda inversion: inversion.cell.seed),
    InversionColumn(
        header="inversion",
        text=lambda line: line.inversion,
        key="inversion",
        value=lambda inversion: inversion.method.name,
    ),
    InversionColumn(key="inversion_params", value=lambda inversion: inversion.method.parameters),
    InversionColumn(header="class named", text=lambda line: named(line.findings)),
    InversionColumn(header="true class", text=lambda line: line.true_class),
    InversionColumn(header="images reached", text=lambda line: reached(line.findings)),
    InversionColumn(header="change", text=lambda line: moved(line.findings)),
    InversionColumn(header="lead", text=lambda line: standing_out(line.findings)),
    InversionColumn(header="margin lead", text=lambda line: margins(line.findings), sparse=True),
    InversionColumn(header="vote", text=lambda line: votes(line.findings), sparse=True),
]
"""People see one row per attack and inversion, programs one object per seed, with its finding."""


def grid_inversions(records: Sequence[Record]) -> list[GridInversion]:
    """Returns the inversions that purified models build upon, in a stable order."""
    results = Results.of(records)
    cells = {
        record.parents["inversion"]: (record.cell, results.key(record.cell, record))
        for record in reversed(records)
        if record.cell is not None and "inversion" in record.parents
    }
    inversions = []
    for record in records:
        if record.kind != "inversion" or record.status != "done" or record.id not in cells:
            continue
        table = dict(record.settings["inversion"])
        cell, key = cells[record.id]
        inversions.append(
            GridInversion(
                cell=cell,
                key=key,
                method=MethodKey.of(table.pop("method"), table),
                finding=Finding.of(record.details),
            )
        )
    return sorted(inversions, key=_order)


def _order(inversion: GridInversion) -> tuple[Any, ...]:
    key = inversion.key
    return (
        key.dataset,
        key.arch,
        inversion.innocent,
        key.order(),
        inversion.method,
        inversion.cell.seed,
    )


def inversion_tables(results: Results) -> list[Table]:
    """Builds one table per data set and architecture."""
    inversions = grid_inversions(results)
    methods = label_methods(inversion.method for inversion in inversions)
    attacks = label_methods(inversion.key.attack for inversion in inversions)
    settings = setting_labels(inversion.key for inversion in inversions)

    def line(seeds: list[GridInversion]) -> InversionLine:
        first = seeds[0]
        return InversionLine(
            attack=MISSING if first.innocent else attacks[first.key.attack],
            inversion=methods[first.method],
            setting=settings[first.key],
            seeds=seeds,
        )

    return [
        table_of(
            COLUMNS,
            [
                line(list(seeds))
                for _, seeds in groupby(
                    group, key=lambda inversion: (inversion.key, inversion.method)
                )
            ],
            title=printable(f"{dataset} · {arch} · what the inversions found"),
            notes=[_NOTE, *([_VOTED] if any(i.finding.margin_lead for i in group) else [])],
        )
        for (dataset, arch), part in groupby(
            inversions, key=lambda inversion: (inversion.cell.dataset, inversion.cell.arch)
        )
        for group in [list(part)]
    ]


def _objects(results: Results) -> list[Json]:
    inversions = grid_inversions(results)
    return [
        entries | asdict(inversion.finding)
        for inversion, entries in zip(inversions, objects_of(COLUMNS, inversions), strict=True)
    ]


register_view(
    View(
        name="inversions",
        summary="which class each inversion names, and which is the true one",
        empty="no purifier of the spec inverts the trigger",
        tables=inversion_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
