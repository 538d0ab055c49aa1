"""Records -> tables as text: for people (text, Markdown) in percent, for programs in fractions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

from remission.errors import UserError, closest
from remission.records import Record
from remission.report.groups.breakage import broken
from remission.report.groups.estimates import FAILED, MISSING, Estimate, over_seeds, show
from remission.report.groups.group import Column, Group, Row, failures, summarise
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.verdict import judge, sentence
from remission.report.tables.attacks import attack_objects, attack_sections
from remission.report.tables.cells import (
    cell_lines,
    ordered_cells,
    path_objects,
    path_points,
)
from remission.report.tables.explanation import explanation_objects, explanation_sections
from remission.report.tables.formats import (
    Lines,
    Section,
    csv_table,
    escape,
    json_text,
    markdown_sections,
    markdown_table,
    text_sections,
    text_table,
)
from remission.report.tables.innocent import innocent_objects, innocent_sections
from remission.report.tables.inversions import inversion_objects, inversion_sections
from remission.report.tables.overview import overview_objects, overview_sections
from remission.report.tables.paths import path_sections
from remission.report.tables.scores import score_objects, score_sections
from remission.report.tables.transfer import transfer_objects, transfer_sections

View = Literal[
    "summary",
    "cells",
    "paths",
    "attacks",
    "innocent",
    "overview",
    "scores",
    "explanation",
    "transfer",
    "inversions",
]
Format = Literal["text", "markdown", "csv", "json"]


Rendered = Callable[[list[Record]], str]
Sections = Callable[[Sequence[Record]], Sequence[Section]]
Objects = Callable[[Sequence[Record]], list[dict[str, Any]]]


def _formats(sections: Sections, objects: Objects) -> dict[str, Rendered]:
    """All formats of a view: sections for people, objects for programs."""
    return {
        "text": lambda records: text_sections(sections(records)),
        "markdown": lambda records: markdown_sections(sections(records)),
        "csv": lambda records: csv_table(objects(records)),
        "json": lambda records: json_text(objects(records)),
    }


def render(records: list[Record], view: View, format: Format) -> str:
    """The results as one string, without a newline at its end.

    ``summary`` is the paper's table, ``cells`` one line a measured model, ``paths`` one line a
    point of a path (one object a curve in JSON), ``attacks`` one line a victim, ``innocent`` one
    line a purifier that was handed a model without a backdoor, ``overview`` one line a purifier
    with all attacks beside each other, ``scores`` the relapse curves in single numbers,
    ``explanation`` what these correlate with, ``transfer`` a matrix a reactivation: perturbations
    made for one model, tried on all; ``inversions`` one line an attack and inversion.

    Raises:
        UserError: an unknown view or format.
    """
    views: dict[str, dict[str, Rendered]] = {
        "summary": {
            "text": lambda r: _with_failures(text_sections(_summary(r)), r, str),
            "markdown": lambda r: _with_failures(markdown_sections(_summary(r)), r, escape),
            "csv": _summary_csv,
            "json": lambda r: json_text([_group_json(group) for group in summarise(r)]),
        },
        "cells": {
            "text": lambda r: text_table(*cell_lines(r)),
            "markdown": lambda r: markdown_table(*cell_lines(r)),
            "csv": lambda r: csv_table([dataclasses.asdict(cell) for cell in ordered_cells(r)]),
            "json": lambda r: json_text([dataclasses.asdict(cell) for cell in ordered_cells(r)]),
        },
        "paths": {
            "text": lambda r: text_sections(path_sections(r)),
            "markdown": lambda r: markdown_sections(path_sections(r)),
            "csv": lambda r: csv_table(path_points(r)),
            "json": lambda r: json_text(path_objects(r)),
        },
        "attacks": _formats(attack_sections, attack_objects),
        "overview": _formats(overview_sections, overview_objects),
        "scores": _formats(score_sections, score_objects),
        "explanation": _formats(explanation_sections, explanation_objects),
        "transfer": _formats(transfer_sections, transfer_objects),
        "innocent": _formats(innocent_sections, innocent_objects),
        "inversions": _formats(inversion_sections, inversion_objects),
    }
    if view not in views:
        raise UserError(f"--view {view} is unknown", closest(view, views))
    if format not in views[view]:
        raise UserError(f"--format {format} is unknown", closest(format, views[view]))
    return views[view][format](records)


def _summary(records: list[Record]) -> list[Section]:
    """A table a group, those of models that were never backdoored, those of the inversions."""
    found = []
    for group in summarise(records):
        header, lines = _summary_lines(group) if group.rows else ([], [])
        notes = _summary_notes(group)
        found.append(Section(title=group.title, notes=notes, header=header, lines=lines))
    return [*found, *innocent_sections(records), *inversion_sections(records)]


def _with_failures(text: str, records: list[Record], written: Callable[[str], str]) -> str:
    """The text, and below it what failed."""
    lines = [written(f"- {label}: {error}") for label, error in failures(records)]
    blocks = [text] if text else []
    return "\n\n".join([*blocks, "\n".join(["Failed:", *lines])] if lines else blocks)


def _summary_notes(group: Group) -> list[str]:
    notes = [f"percent; {over_seeds(group.seeds)}"]
    if group.columns and group.row(CONTROL):
        notes[0] += "; in brackets: above the control after the same reactivation, in points"
        if any(group.perturbed(column) for column in group.columns):
            notes[0] += (
                ", of perturbed images above the higher of two: the control's row, and the control "
                "under the very same perturbation"
            )
    if told := sentence(group):
        notes.append(told.removesuffix("."))
    if told := broken(group):
        notes.append(told)
    if group.repeated:
        cells_ = "cell" if group.repeated == 1 else "cells"
        notes.append(
            f"averaged with another of the same row, column and seed: {group.repeated} {cells_}; "
            "this store mixes runs with different settings"
        )
    return notes


def _summary_lines(group: Group) -> tuple[list[str], Lines]:
    header = ["purifier", "C-Acc", "O-ASR", "O-RobustAcc"]
    header += [f"P-ASR {printable(column.title)}" for column in group.columns]
    header.append("seconds")
    costs = [group.cost(row) for row in group.rows]
    if priced := any(cost.known for cost in costs):
        header.append("ft epochs")
    lines = []
    for row, cost in zip(group.rows, costs, strict=True):
        line = [row.label]
        line += [show(row.number(m), seeds=group.seeds) for m in ("clean_acc", "asr", "robust_acc")]
        line += [_with_gap(group, row, column) for column in group.columns]
        line.append(show(row.number("seconds"), seeds=group.seeds, scale=1.0))
        if priced:
            line.append(show(cost, seeds=group.seeds, scale=1.0))
        lines.append(line)
    return header, lines


def _with_gap(group: Group, row: Row, column: Column) -> str:
    """P-ASR and, in brackets, how far it lies above the control's: ``88.4 (+85.5)``."""
    rate = show(row.number("asr", column), seeds=group.seeds)
    if row.reference or rate in (MISSING, FAILED):
        return rate
    gap = show(group.gap(row, column), seeds=group.seeds, signed=True)
    return rate if gap in (MISSING, FAILED) else f"{rate} ({gap})"


def _number_json(number: Estimate) -> dict[str, Any]:
    return {
        "mean": number.mean,
        "half_width": number.half_width,
        "n": number.n,
        "failed": number.failed,
    }


def _row_json(group: Group, row: Row) -> dict[str, Any]:
    return {
        "purifier": row.purifier.name,
        "purifier_params": row.purifier.parameters,
        "label": row.label,
        "clean_acc": _number_json(row.number("clean_acc")),
        "o_asr": _number_json(row.number("asr")),
        "o_robust_acc": _number_json(row.number("robust_acc")),
        "seconds": _number_json(row.number("seconds")),
        "ft_epochs": _number_json(group.cost(row)),
        "outcome": None if row.reference else judge(group, row).outcome,
        "verdict": None if row.reference else judge(group, row).text,
        "reactivations": [
            {
                "reactivation": column.reactivation.name,
                "reactivation_params": column.reactivation.parameters,
                "label": column.title,
                "budget": column.budget,
                "p_asr": _number_json(row.number("asr", column)),
                "gap_to_control": _number_json(group.gap(row, column)),
            }
            for column in group.columns
        ],
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "dataset": group.key.dataset,
        "arch": group.key.arch,
        "attack": group.key.attack.name,
        "attack_params": group.key.attack.parameters,
        "poison_rate": group.key.poison_rate,
        "target": group.key.target,
        "target_name": group.target_name,
        "seeds": group.seeds,
        "repeated_cells": group.repeated,
        "rows": [_row_json(group, row) for row in group.rows],
    }


def _summary_csv(records: list[Record]) -> str:
    lines = []
    for group in map(_group_json, summarise(records)):
        shared = {k: group[k] for k in group if k not in ("rows", "seeds", "repeated_cells")}
        for row in group["rows"]:
            line = shared | {k: row[k] for k in ("purifier", "purifier_params")}
            numbers = {k: row[k] for k in ("clean_acc", "o_asr", "o_robust_acc", "seconds")}
            for column in row["reactivations"]:
                numbers[f"p_asr {column['label']}"] = column["p_asr"]
                numbers[f"gap_to_control {column['label']}"] = column["gap_to_control"]
            for name, number in numbers.items():
                if number["mean"] is None and number["failed"]:
                    number["mean"] = FAILED
                line[name] = number.pop("mean")
                line |= {f"{name} {part}": value for part, value in number.items()}
            lines.append(line)
    return csv_table(lines)
