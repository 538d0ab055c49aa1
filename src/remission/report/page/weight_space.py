"""The page's drawings of weight space: walks, distances, planes, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

from remission.records import Record
from remission.report.figures import lines as series
from remission.report.figures import weight_space as figures
from remission.report.figures.drawing import Drawing
from remission.report.figures.lines import Series
from remission.report.figures.style import Look
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.page import captions

PathStages = Sequence[tuple[str, Record]]
"""(label of the purifier, record) of path stages."""


def weight_space_drawings(group: Group, records: Sequence[Record], look: Look) -> list[Drawing]:
    """Draws everything that was measured in weight space between the models of a group."""
    walks = _walks_of(group, records)
    single = [
        _line(group, look),
        _losses(group, look),
        _onward(group, walks, look),
        _layers(walks, look),
    ]
    return [*filter(None, single), *_planes(walks)]


def _line(group: Group, look: Look) -> Drawing | None:
    panels = series.panels(group)
    if not panels:
        return None
    return Drawing(
        svg=figures.path_figure(panels, look),
        title="Path curves",
        caption=captions.path_curves(group),
    )


def _losses(group: Group, look: Look) -> Drawing | None:
    if (panel := series.losses(group)) is None:
        return None
    return Drawing(
        svg=figures.loss_figure(panel, look),
        title="Losses",
        caption=captions.path_losses(panel.title),
    )


def _onward(group: Group, walks: PathStages, look: Look) -> Drawing | None:
    panels = series.onward(group)
    if not panels:
        return None
    settings = [record.settings.get("path", {}) for _, record in walks]
    budgets = sorted({path["retuned"] for path in settings if "retuned" in path})
    return Drawing(
        svg=figures.path_figure(panels, look, "t (0: purified, 1: retuned)"),
        title="Path to the retuned model",
        caption=captions.path_onward(group, budgets),
    )


def _walks_of(group: Group, records: Sequence[Record]) -> PathStages:
    """The path stages of a group: of one seed per purifier."""
    labels = {
        curve.id: label
        for (label, _), curves in group.paths.items()
        for curve in curves
        if curve.seed == min(other.seed for other in curves)
    }
    walks: dict[str, Record] = {}
    for record in records:
        ours = [path for path in record.paths if GroupKey.of(path, record) == group.key]
        if ours and ours[0].id in labels:
            walks.setdefault(labels[ours[0].id], record)
    return sorted(walks.items())


def _layers(walks: PathStages, look: Look) -> Drawing | None:
    lines, names = [], list[str]()
    for label, record in walks:
        layers = record.details.get("layers, line")
        if not isinstance(layers, list) or not layers:
            continue
        ours = [str(name) for name, _, _ in layers]
        if not names or ours == names:
            names = ours
            y = [100 * share if share else math.nan for _, _, share in layers]
            x = [float(k) for k in range(len(y))]
            lines.append(Series(label=label, x=x, y=y, low=y, high=y))
    if not lines:
        return None
    return Drawing(
        svg=figures.layer_figure(lines, names, look),
        title="Distance layer by layer",
        caption=captions.layers(normalising=any(map(figures.normalises, names))),
    )


def _planes(walks: PathStages) -> list[Drawing]:
    return [
        Drawing(
            svg=figures.plane_figure(record.plane),
            title=f"Plane of {label}",
            caption=captions.plane_through(label, record.plane),
        )
        for label, record in walks
        if record.plane is not None
    ]
