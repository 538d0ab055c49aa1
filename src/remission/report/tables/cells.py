"""The view ``cells``: one row per measured model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from remission.names import class_text
from remission.records import Cell, Json, cells
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.keys import attack_of, purifier_of, reactivation_of, row_order
from remission.report.groups.labels import label_methods
from remission.report.groups.results import Results
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view


@dataclass(frozen=True, kw_only=True)
class LabelledCell:
    """A measured model with the labels of its methods, which depend on the whole store."""

    cell: Cell
    attack: str
    purifier: str
    reactivation: str
    setting: str

    def percent(self, rate: float | None) -> str:
        """Returns a rate in percent, or why there is none."""
        if self.cell.status == "failed":
            return FAILED
        return MISSING if rate is None else f"{100 * rate:.1f}"


def applied(cell: Cell) -> str:
    """Returns whether the purifier changed the model; nothing is known of most models."""
    return {True: "yes", False: "no", None: MISSING}[cell.applied]


CellColumn = TableColumn[LabelledCell, Cell]
COLUMNS: list[CellColumn] = [
    CellColumn(header="dataset", text=lambda model: model.cell.dataset),
    CellColumn(header="arch", text=lambda model: model.cell.arch),
    CellColumn(header="attack", text=lambda model: model.attack),
    CellColumn(header="poison rate", text=lambda model: f"{100 * model.cell.poison_rate:g} %"),
    CellColumn(
        header="target", text=lambda model: class_text(model.cell.target, model.cell.target_name)
    ),
    CellColumn(header="setting", text=lambda model: model.setting, varies=True),
    CellColumn(header="seed", text=lambda model: str(model.cell.seed)),
    CellColumn(header="purifier", text=lambda model: model.purifier),
    CellColumn(header="applied", text=lambda model: applied(model.cell), varies=True),
    CellColumn(header="reactivation", text=lambda model: model.reactivation),
    CellColumn(
        header="budget",
        text=lambda model: MISSING if model.cell.budget is None else str(model.cell.budget),
    ),
    CellColumn(header="C-Acc", text=lambda model: model.percent(model.cell.clean_acc)),
    CellColumn(header="ASR", text=lambda model: model.percent(model.cell.asr)),
    CellColumn(header="RobustAcc", text=lambda model: model.percent(model.cell.robust_acc)),
    CellColumn(header="seconds", text=lambda model: f"{model.cell.seconds:.1f}"),
    CellColumn(header="id", text=lambda model: model.cell.id[:12]),
]
"""Columns for people. Programs get every field of a cell, then the columns with a ``value``."""


def _ordered(results: Results) -> list[Cell]:
    """Returns the measured models in the order of the summary."""
    return sorted(cells(results), key=row_order)


def _tables(results: Results) -> list[Table]:
    ordered = _ordered(results)
    attacks = label_methods(attack_of(cell) for cell in ordered)
    purifiers = label_methods(map(purifier_of, ordered))
    reactivations = label_methods(map(reactivation_of, ordered))
    settings = {
        cell.id: group.setting
        for group in (*results.groups, *results.innocents)
        for row in group.rows
        for cells_ in row.cells.values()
        for cell in cells_
    }
    labelled = [
        LabelledCell(
            cell=cell,
            attack=attacks[attack_of(cell)],
            purifier=purifiers[purifier_of(cell)],
            reactivation=reactivations[reactivation_of(cell)],
            setting=settings[cell.id],
        )
        for cell in ordered
    ]
    return [table_of(COLUMNS, labelled)]


def _objects(results: Results) -> list[Json]:
    ordered = _ordered(results)
    more = objects_of(COLUMNS, ordered)
    return [
        dataclasses.asdict(cell) | {"setting": results.settings[cell.id]} | entries
        for cell, entries in zip(ordered, more, strict=True)
    ]


register_view(
    View(
        name="cells",
        summary="one row per measured model",
        empty="no model is measured yet",
        tables=_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
