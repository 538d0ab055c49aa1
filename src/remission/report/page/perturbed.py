"""The page's drawings and pictures of reactivations that perturb images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from remission.records import Record
from remission.report.figures import lines
from remission.report.figures.drawing import Drawing
from remission.report.figures.perturbed import transfer_figure
from remission.report.figures.relapse import before_after_figure
from remission.report.figures.style import Look
from remission.report.groups.group import Group
from remission.report.groups.grouping import ancestors
from remission.report.groups.keys import CONTROL, reactivation_of
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column
from remission.report.measures.transfer import matrices
from remission.report.page import captions
from remission.report.page.pictures import Pictures, compare


def perturbed_drawing(group: Group, column: Column, look: Look) -> Drawing | None:
    """Draws O-ASR and P-ASR of every model, and the ASR of the same perturbation on the control."""
    pairs = lines.before_after(group, column)
    if not pairs:
        return None
    rates = {
        row.label: row.number("control_asr", column).mean
        for row in group.rows
        if row.purifier.name != CONTROL  # the control's own full mark shows it
    }
    control = {label: 100 * rate for label, rate in rates.items() if rate is not None}
    if group.in_place(column):
        return Drawing(
            svg=before_after_figure([(after, after) for _, after in pairs], look, control),
            title=f"ASR under {column.title}",
            caption=captions.image_in_place(column.title) + captions.not_applied(group),
        )
    return Drawing(
        svg=before_after_figure(pairs, look, control),
        title=f"ASR before and after {column.title}",
        caption=captions.perturbed_images(column.title) + captions.not_applied(group),
    )


def perturbation_pictures(
    records: Sequence[Record], victim: Record, folder: Path
) -> list[Pictures]:
    """Returns pictures of each reactivation's perturbation of a victim's first purified model."""
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
    """Returns the role of the strip before the perturbation: triggered or clean images."""
    return "preview_triggered" if "preview_triggered" in record.artefacts else "preview_clean"


def transfer_drawings(group: Group, records: Sequence[Record]) -> list[Drawing]:
    """Draws a heat map for every transfer matrix of a group."""
    return [
        Drawing(
            svg=transfer_figure(matrix),
            title=f"Transfer of {matrix.title}",
            caption=captions.transfer(matrix.title),
        )
        for matrix in matrices(group, records)
    ]
