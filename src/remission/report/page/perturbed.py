"""Figures of reactivations that perturb images: before and after, and the transfer matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from remission.records import Record
from remission.report.figures import lines
from remission.report.figures.perturbed import transfer_figure
from remission.report.figures.relapse import before_after_figure
from remission.report.figures.style import Style
from remission.report.groups.group import Group
from remission.report.groups.grouping import ancestors
from remission.report.groups.keys import CONTROL, reactivation_of
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column
from remission.report.measures.transfer import matrices
from remission.report.page.pictures import Pictures, compare

Told = tuple[str, str, str]
"""SVG text, caption, title."""


def woken_figure(group: Group, column: Column, look: Mapping[str, Style]) -> Told | None:
    """O-ASR and P-ASR of every model, and what the same perturbation does to the control."""
    pairs = lines.before_after(group, column)
    if not pairs:
        return None
    found = {row.label: row.number("control_asr", column).mean for row in group.rows}
    control = {label: 100 * mean for label, mean in found.items() if mean is not None}
    control.pop(CONTROL, None)  # there it is the full mark itself
    if group.in_place(column):
        svg = before_after_figure([(after, after) for _, after in pairs], look, control)
        caption = (
            f"Reactivation by {column.title}, whose image takes the trigger's place: ASR of clean "
            "images under the one made for each model, shaded its 95 % interval. Black bars: the "
            "same on the control. Where the bar lies near the mark it wakes nothing."
        )
        return svg, caption, f"ASR under {column.title}"
    caption = (
        f"Reactivation by {column.title}, which leaves the models as they are and perturbs the "
        "images: ASR before (hollow) and under the perturbation made for each model (full), "
        "shaded its 95 % interval. Black bars: the same perturbation on the control. Where the bar "
        "lies near the full mark it is an adversarial example for any model, and wakes nothing."
    )
    svg = before_after_figure(pairs, look, control)
    return svg, caption, f"ASR before and after {column.title}"


def perturbation_pictures(
    records: Sequence[Record], victim: Record, folder: Path
) -> list[Pictures]:
    """What each reactivation does to images: of the first model of a victim that was purified."""
    by_id = {record.id: record for record in records}
    first: dict[tuple[MethodKey, int | None], Record] = {}
    for record in records:
        if "preview_perturbed" in record.artefacts and victim in ancestors(record, by_id):
            cell = record.cell
            if cell and cell.purifier != CONTROL:
                first.setdefault((reactivation_of(cell), cell.budget), record)
    return [
        compare(
            folder,
            record,
            other="preview_perturbed",
            other_title="perturbed",
            title=record.label,
            before=_before(record),
        )
        for record in first.values()
    ]


def _before(record: Record) -> str:
    """The strip of what was perturbed: triggered images, or clean ones in the trigger's place."""
    return "preview_triggered" if "preview_triggered" in record.artefacts else "preview_clean"


def transfer_figures(group: Group, records: Sequence[Record]) -> list[Told]:
    """A heat map for every transfer matrix of a group."""
    return [
        (
            transfer_figure(matrix),
            f"Transfer of {matrix.title}: ASR in percent of perturbations made for one model (a "
            "row) and tried on another (a column); in bold where both are the same. A row that is "
            "dark throughout needs no access to the model that it fools; where the control's "
            "column is dark, it is an adversarial example for any model.",
            f"Transfer of {matrix.title}",
        )
        for matrix in matrices(group, records)
    ]
