"""The content of one group's section of the page, for its template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remission.records import Record
from remission.report.figures import lines
from remission.report.figures.style import Look
from remission.report.groups.estimates import show
from remission.report.groups.group import Group
from remission.report.groups.grouping import ancestors
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Column, Row
from remission.report.groups.sentences import broken, sentence
from remission.report.groups.thresholds import SATURATED
from remission.report.measures.findings import Finding
from remission.report.measures.victims import Attacked
from remission.report.page.gallery import stealth_text
from remission.report.page.perturbed import perturbation_pictures, transfer_drawings
from remission.report.page.pictures import Pictures, compare
from remission.report.page.relapse import relapse_drawings
from remission.report.page.weight_space import weight_space_drawings
from remission.report.tables.paths import barrier_table
from remission.report.tables.perturbed import perturbed_tables
from remission.report.tables.scores import score_table
from remission.report.tables.summary import COLUMNS, GroupRow


def group_section(
    group: Group, results: Results, victims: Sequence[Attacked], folder: Path, look: Look
) -> dict[str, Any]:
    """Collects the content of the template ``group.html.j2``.

    Args:
        group: the group to show.
        results: the results of the store.
        victims: the victims of the store.
        folder: where artefacts lie.
        look: label of a purifier -> how its lines are drawn.
    """
    purified = bool(group.purified)
    return {
        "title": group.title,
        "sentence": sentence(group),
        "seeds": group.seeds,
        "repeated": group.repeated,
        "broken": broken(group),
        "purified": purified,
        "bare": not purified and not group.columns,
        "perturbs": any(group.perturbed(column) for column in group.columns),
        "columns": [
            (label, [column.budget for column in columns])
            for label, columns in lines.reactivations(group).items()
        ],
        "measures": [column.header for column in COLUMNS if column.text],
        "rows": [_row(group, row, look) for row in group.rows],
        "epochs": any(group.cost(row).known for row in group.rows),
        "saturated": [printable(column.title) for column in group.saturated],
        "saturation": f"{100 * SATURATED:.0f}",
        "relapse": list(relapse_drawings(group, look)),
        "scores": score_table(group),
        "perturbed": perturbed_tables(group),
        "transfer": transfer_drawings(group, results),
        "paths": weight_space_drawings(group, results, look),
        "barriers": barrier_table(group),
        "pictures": _pictures(group, results, victims, folder),
    }


def _row(group: Group, row: Row, look: Look) -> dict[str, Any]:
    line = GroupRow(group=group, row=row)
    verdict = None if row.reference else group.verdict(row)
    return {
        "label": row.label,
        "kind": row.purifier.name if row.reference else "purifier",
        "colour": "#000" if row.reference else look[row.label].colour,
        "before": [
            (column.text(line), column.shade(line) if column.shade else None)
            for column in COLUMNS
            if column.text
        ],
        "after": [_after(group, row, column) for column in group.columns],
        "seconds": show(row.number("seconds"), seeds=group.seeds, scale=1),
        "epochs": show(group.cost(row), seeds=group.seeds, scale=1),
        "outcome": verdict.outcome if verdict else "",
        "verdict": printable(verdict.text) if verdict else "reference",
    }


def _after(group: Group, row: Row, column: Column) -> dict[str, Any]:
    asr, gap = row.number("asr", column), group.gap(row, column)
    return {
        "asr": show(asr, seeds=group.seeds),
        "gap": show(gap, seeds=group.seeds, signed=True) if gap.known else "",
        "shade": asr.mean or 0.0,
        "seconds": show(row.number("seconds", column), seeds=group.seeds, scale=1),
    }


def _pictures(
    group: Group, records: Sequence[Record], victims: Sequence[Attacked], folder: Path
) -> list[Pictures]:
    """Returns pictures of the first victim's trigger, of its inversions and of perturbations."""
    by_id = {record.id: record for record in records}
    first = next((candidate for candidate in victims if candidate.key == group.key), None)
    if first is None:
        return []
    victim, measured = first.record, stealth_text(first)
    title = f"{first.cell.attack}: {measured}" if measured else first.cell.attack
    pictures = [
        compare(folder, victim, other="preview_triggered", other_title="triggered", title=title)
    ]
    for record in records:
        if record.kind == "inversion" and victim in ancestors(record, by_id):
            title = f"{record.label}{Finding.of(record.details).caption()}"
            pictures.append(
                compare(
                    folder, record, other="preview_inverted", other_title="inverted", title=title
                )
            )
    return pictures + perturbation_pictures(records, victim, folder)
