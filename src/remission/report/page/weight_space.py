"""The page's drawings of weight space: paths, distances and planes, with their captions."""

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
from remission.report.groups.results import Results
from remission.report.page import captions

PathStages = Sequence[tuple[str, Record]]
"""(label of the purifier, record) of path stages."""


def weight_space_drawings(group: Group, records: Sequence[Record], look: Look) -> list[Drawing]:
    """Draws all measurements in weight space between the models of a group."""
    stages = _stages_of(group, records)
    single = [
        _line(group, look),
        _losses(group, look),
        _onward(group, stages, look),
        _layers(stages, look),
    ]
    return [*filter(None, single), *_planes(stages)]


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


def _onward(group: Group, stages: PathStages, look: Look) -> Drawing | None:
    panels = series.onward(group)
    if not panels:
        return None
    settings = [record.settings.get("path", {}) for _, record in stages]
    budgets = sorted({path["retuned"] for path in settings if "retuned" in path})
    return Drawing(
        svg=figures.path_figure(panels, look, "t (0: purified, 1: retuned)"),
        title="Path to the retuned model",
        caption=captions.path_onward(group, budgets),
    )


def _stages_of(group: Group, records: Sequence[Record]) -> PathStages:
    """Returns the path stages of a group, one seed per purifier."""
    labels = {
        curve.id: label
        for (label, _), curves in group.paths.items()
        for curve in curves
        if curve.seed == min(other.seed for other in curves)
    }
    stages: dict[str, Record] = {}
    results = Results.of(records)
    for record in results:
        own_curves = [path for path in record.paths if results.key(path, record) == group.key]
        if own_curves and own_curves[0].id in labels:
            stages.setdefault(labels[own_curves[0].id], record)
    return sorted(stages.items())


def _layers(stages: PathStages, look: Look) -> Drawing | None:
    lines, names = [], list[str]()
    for label, record in stages:
        layers = record.details.get("layers, line")
        if not isinstance(layers, list) or not layers:
            continue
        own_names = [str(name) for name, _, _ in layers]
        if not names or own_names == names:
            names = own_names
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


def _planes(stages: PathStages) -> list[Drawing]:
    return [
        Drawing(
            svg=figures.plane_figure(record.plane),
            title=f"Plane of {label}",
            caption=captions.plane_through(label, record.plane),
        )
        for label, record in stages
        if record.plane is not None
    ]
