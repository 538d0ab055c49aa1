"""Figures of reactivations that perturb images: before and after, and the transfer matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from remission.records import Record
from remission.report import series
from remission.report.figures import RC, Style, before_after_figure, svg_of
from remission.report.keys import CONTROL, reactivation_of
from remission.report.labels import Method
from remission.report.perturbed import Matrix, matrices
from remission.report.pictures import Pictures, compare
from remission.report.summary import Column, Group, ancestors

_COLOURS = LinearSegmentedColormap.from_list("asr", ["#ffffff", "#f3c4a0", "#D55E00"])


Told = tuple[str, str, str]
"""SVG text, caption, title."""


def woken_figure(group: Group, column: Column, look: Mapping[str, Style]) -> Told | None:
    """O-ASR and P-ASR of every model, and what the same perturbation does to the control."""
    pairs = series.before_after(group, column)
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
    first: dict[tuple[Method, int | None], Record] = {}
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


def transfer_figure(matrix: Matrix) -> str:
    """Rows: made for; columns: tried on; numbers in percent, darker where higher."""
    count = len(matrix.labels)
    side = 0.62 * count
    with mpl.rc_context(RC | {"axes.grid": False}):
        figure = Figure(figsize=(side + 2.6, 0.62 * side + 1.9), layout="constrained")
        axes = figure.add_subplot()
        # drawn as shapes: imshow would put a bitmap into the page
        axes.pcolormesh(
            [[100 * value for value in row] for row in matrix.asr],
            cmap=_COLOURS,
            vmin=0,
            vmax=100,
            edgecolors="#ebe8e4",
            linewidth=0.8,
        )
        for i, row in enumerate(matrix.asr):
            for j, value in enumerate(row):
                axes.text(
                    j + 0.5,
                    i + 0.5,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    fontweight="bold" if i == j else "normal",
                    color="white" if value > 0.7 else "#1b1b1b",
                )
        places = [i + 0.5 for i in range(count)]
        axes.set_xticks(places, matrix.labels, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(places, matrix.labels)
        axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_ylim(count, 0)
        axes.set_xlabel("tried on")
        axes.set_ylabel("made for")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return svg_of(figure)
