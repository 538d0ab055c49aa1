"""The view ``summary``: the paper's table, one row per purifier, victim and control first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remission.records import Json
from remission.report.groups.estimates import (
    FAILED,
    MISSING,
    Estimate,
    Measure,
    over_seeds,
    show,
)
from remission.report.groups.group import Group
from remission.report.groups.grouping import failures
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Column, Row
from remission.report.groups.sentences import broken, sentence
from remission.report.groups.thresholds import MARGIN
from remission.report.measures.purified import PurifiedCells, purified
from remission.report.tables.columns import TableColumn, table_of
from remission.report.tables.formats import Table
from remission.report.tables.innocent import innocent_tables
from remission.report.tables.inversions import inversion_tables
from remission.report.tables.purified import counts_of, purified_text
from remission.report.tables.views import View, register_view


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A row with the group that it belongs to."""

    group: Group
    row: Row


SummaryColumn = TableColumn[GroupRow, GroupRow]


def _measured(
    header: str, key: str, measure: Measure, scale: float = 100, *, shaded: bool = False
) -> SummaryColumn:
    """Returns the column of a mean over seeds before any reactivation."""

    def shade(line: GroupRow) -> float | None:
        return line.row.number(measure).mean or 0.0

    return SummaryColumn(
        header=header,
        text=lambda line: show(line.row.number(measure), seeds=line.group.seeds, scale=scale),
        key=key,
        value=lambda line: line.row.number(measure),
        shade=shade if shaded else None,
    )


COLUMNS: list[SummaryColumn] = [
    _measured("C-Acc", "clean_acc", "clean_acc"),
    _measured("O-ASR", "o_asr", "asr", shaded=True),
    _measured("O-RobustAcc", "o_robust_acc", "robust_acc"),
]
"""Columns of the models before any reactivation. An ``Estimate`` gives several JSON fields."""
SECONDS = _measured("seconds", "seconds", "seconds", 1)
EPOCHS = SummaryColumn(
    header="ft epochs",
    text=lambda line: show(line.group.cost(line.row), seeds=line.group.seeds, scale=1),
    key="ft_epochs",
    value=lambda line: line.group.cost(line.row),
)


PURIFIED = SummaryColumn(header="purified", text=lambda line: purified_text(_cells(line)))
"""With how many seeds the model was purified. The page shows the verdict in its place."""


def _cells(line: GroupRow) -> PurifiedCells:
    return PurifiedCells() if line.row.reference else purified(line.group, line.row)


def _after(column: Column) -> SummaryColumn:
    return SummaryColumn(
        header=f"P-ASR {printable(column.title)}",
        text=lambda line: _with_gap(line.group, line.row, column),
    )


def _with_gap(group: Group, row: Row, column: Column) -> str:
    """Returns P-ASR and, in brackets, how far it lies above the control's: ``88.4 (+85.5)``."""
    rate = show(row.number("asr", column), seeds=group.seeds)
    if row.reference or rate in (MISSING, FAILED):
        return rate
    gap = show(group.gap(row, column), seeds=group.seeds, signed=True)
    return rate if gap in (MISSING, FAILED) else f"{rate} ({gap})"


def _table(group: Group) -> Table:
    notes = _notes(group)
    if not group.rows:
        return Table(title=group.title, notes=notes)
    priced = any(group.cost(row).known for row in group.rows)
    columns = [
        SummaryColumn(header="purifier", text=lambda line: line.row.label),
        *COLUMNS,
        *([PURIFIED] if group.purified else []),
        *map(_after, group.columns),
        SECONDS,
        *([EPOCHS] if priced else []),
    ]
    lines = [GroupRow(group=group, row=row) for row in group.rows]
    return table_of(columns, lines, title=group.title, notes=notes)


def _notes(group: Group) -> list[str]:
    notes = [f"rates in percent; {over_seeds(group.seeds)}"]
    if group.columns and group.row(CONTROL):
        notes[0] += (
            "; in brackets: how far above the control after the same reactivation, in points"
        )
        if any(group.perturbed(column) for column in group.columns):
            notes[0] += (
                "; for perturbed images the control counts with the higher of two ASRs, that of "
                "its own row and that under the very same perturbation"
            )
    if group.purified:
        notes[0] += (
            f"; purified: with how many seeds the O-ASR is at most {100 * MARGIN:.0f} points above "
            "the control's, of those whose victim has a working backdoor; rows are in the order of "
            "their names, which is no ranking"
        )
    notes += [text for text in (sentence(group).removesuffix("."), broken(group)) if text]
    if group.repeated:
        cells = "cell is" if group.repeated == 1 else "cells are"
        notes.append(
            f"{group.repeated} {cells} averaged with another of the same row, column and seed: "
            "this store mixes runs with different settings"
        )
    return notes


def _tables(results: Results) -> list[Table]:
    """Builds the tables of groups, of models without a backdoor, of inversions and of failures."""
    failed = [f"{label}: {error}" for label, error in failures(results)]
    return [
        *map(_table, results.groups),
        *innocent_tables(results),
        *inversion_tables(results),
        *([Table(notes=["Failed:"], items=failed)] if failed else []),
    ]


def _entry(value: object) -> object:
    """Returns a number for JSON: an estimate with its half width and numbers of cells."""
    if not isinstance(value, Estimate):
        return value
    return {
        "mean": value.mean,
        "half_width": value.half_width,
        "n": value.n,
        "failed": value.failed,
    }


def _values(columns: Sequence[SummaryColumn], line: GroupRow) -> Json:
    return {column.key: _entry(column.value(line)) for column in columns if column.value}


def _judged(group: Group, row: Row) -> Json:
    """Returns the verdict on a row, and the cells that it is on; None for victim and control."""
    verdict = None if row.reference else group.verdict(row)
    counts = counts_of(_cells(GroupRow(group=group, row=row)))
    return {
        "outcome": verdict.outcome if verdict else None,
        "verdict": verdict.text if verdict else None,
        **(counts if verdict else dict.fromkeys(counts)),
    }


def _row(group: Group, row: Row) -> Json:
    return {
        "purifier": row.purifier.name,
        "purifier_params": row.purifier.parameters,
        "label": row.label,
        **_values([*COLUMNS, SECONDS, EPOCHS], GroupRow(group=group, row=row)),
        **_judged(group, row),
        "reactivations": [
            {
                "reactivation": column.reactivation.name,
                "reactivation_params": column.reactivation.parameters,
                "label": column.title,
                "budget": column.budget,
                "p_asr": _entry(row.number("asr", column)),
                "gap_to_control": _entry(group.gap(row, column)),
            }
            for column in group.columns
        ],
    }


def _objects(results: Results) -> list[Json]:
    """Builds one object per group, with a list of its rows."""
    return [
        {
            **group.subject(),
            "seeds": group.seeds,
            "repeated_cells": group.repeated,
            "rows": [_row(group, row) for row in group.rows],
        }
        for group in results.groups
    ]


def _flat(results: Results) -> list[Json]:
    """Builds one flat object per row of a group."""
    lines = []
    for group in results.groups:
        for row in group.rows:
            numbers = _values([*COLUMNS, SECONDS, EPOCHS], GroupRow(group=group, row=row))
            for column in group.columns:
                numbers[f"p_asr {column.title}"] = _entry(row.number("asr", column))
                numbers[f"gap_to_control {column.title}"] = _entry(group.gap(row, column))
            line = {
                **group.subject(),
                "seeds": group.seeds,
                "repeated_cells": group.repeated,
                "purifier": row.purifier.name,
                "purifier_params": row.purifier.parameters,
                "label": row.label,
                **_judged(group, row),
            }
            for name, number in numbers.items():
                line |= _side_by_side(name, number)
            lines.append(line)
    return lines


def _side_by_side(name: str, number: object) -> Json:
    if not isinstance(number, dict):
        return {name: number}
    failed = number["mean"] is None and number["failed"]
    return {name: FAILED if failed else number["mean"]} | {
        f"{name} {part}": value for part, value in number.items() if part != "mean"
    }


register_view(
    View(
        name="summary",
        summary="the paper's table, one row per purifier",
        empty="no model is measured yet",
        tables=_tables,
        objects=_objects,
        flat=_flat,
        columns=COLUMNS,
    )
)
