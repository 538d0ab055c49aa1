"""The page's drawings of relapse: ASR against poisoned images, and before and after."""

from __future__ import annotations

from collections.abc import Iterator

from remission.report.figures import lines
from remission.report.figures.drawing import Drawing
from remission.report.figures.relapse import before_after_figure, relapse_figure
from remission.report.figures.style import Look
from remission.report.groups.group import Group
from remission.report.page import captions
from remission.report.page.perturbed import perturbed_drawing


def relapse_drawings(group: Group, look: Look) -> Iterator[Drawing]:
    """Draws the relapse under each reactivation of a group, in the order of its columns."""
    for label, columns in lines.reactivations(group).items():
        perturbed = [column for column in columns if group.perturbed(column)]
        others = [column for column in columns if column not in perturbed]
        budgeted = [column for column in others if column.budget]
        if budgeted and (curves := lines.relapse(group, budgeted)):
            yield Drawing(
                svg=relapse_figure(curves, look, lines.victim_asr(group)),
                title=f"Relapse curves, {label}",
                caption=captions.relapse_curves(group, label),
            )
        drawings = (perturbed_drawing(group, column, look) for column in perturbed)
        yield from filter(None, drawings)
        for column in others:
            if not column.budget and (pairs := lines.before_after(group, column)):
                yield Drawing(
                    svg=before_after_figure(pairs, look),
                    title=f"ASR before and after {column.title}",
                    caption=captions.before_and_after(group, column.title),
                )
