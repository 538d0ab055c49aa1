"""The page's drawings of weight space: walks, distances, planes, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remission.records import Record
from remission.report.figures import lines as series
from remission.report.figures import weight_space as figures
from remission.report.figures.lines import Series
from remission.report.figures.style import Style
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey

Look = Mapping[str, Style]
_BANDS = " Lines are means over seeds, bands 95 % Student-t intervals."


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, what to call it and how to read it."""

    svg: str
    title: str
    caption: str


def drawings(group: Group, records: Sequence[Record], look: Look) -> list[Drawing]:
    """Everything that was measured in weight space between the models of a group."""
    found = [_walked(group, look), _losses(group, look), _onward(group, records, look)]
    found.append(_layers(group, records, look))
    found += _planes(group, records)
    return [each for each in found if each is not None]


def _walked(group: Group, look: Look) -> Drawing | None:
    panels = series.panels(group)
    if not panels:
        return None
    caption = (
        "The straight line in weight space from the backdoored model (t = 0) to the purified one "
        "(t = 1). Above: the share of triggered images that no longer reach the target class. A "
        "line that stays low until close to t = 1 says that the purified model lies at the edge of "
        "the backdoored region, a small step from relapse. Below: clean accuracy on the way. "
        "Interpolated batch-norm statistics can break both curves for reasons that have nothing to "
        "do with the backdoor; recalibrated ones are measured anew at every t."
    )
    if any(walk == "bezier" for _, walk, _ in group.walks):
        caption += (
            " Beside the lines a quadratic Bezier curve between the same ends, whose bend was "
            "trained on the defender's clean images: whether a way of low clean error is there "
            "where the line has a barrier, and where the backdoor is on it."
        )
    if any(len(curves) > 1 for curves in group.paths.values()):
        caption += _BANDS
    return Drawing(svg=figures.path_figure(panels, look), title="Path curves", caption=caption)


def _losses(group: Group, look: Look) -> Drawing | None:
    if (panel := series.losses(group)) is None:
        return None
    caption = (
        f"Cross entropy along the straight line, {panel.title}: left of triggered images and the "
        "class that the attacker wants (low: the backdoor works), right of clean images and their "
        "labels. Means over seeds."
    )
    return Drawing(svg=figures.loss_figure(panel, look), title="Losses", caption=caption)


def _onward(group: Group, records: Sequence[Record], look: Look) -> Drawing | None:
    panels = series.onward(group)
    if not panels:
        return None
    across = "t (0: purified, 1: retuned)"
    walked = [record.settings.get("path", {}) for _, record in _walks_of(group, records)]
    budgets = sorted({path["retuned"] for path in walked if "retuned" in path})
    images = f" with {' or '.join(map(str, budgets))} poisoned images" if budgets else ""
    caption = (
        "The straight line on, from the purified model (t = 0) to the same after the first "
        f"retuning of the spec{images} (t = 1): how far the retuning has to go before the backdoor "
        "is back. Above the share of triggered images that do not reach the target class, below "
        "clean accuracy."
    )
    if any(len(curves) > 1 for curves in group.walks.values()):
        caption += _BANDS
    svg = figures.path_figure(panels, look, across)
    return Drawing(svg=svg, title="Path to the retuned model", caption=caption)


def _walks_of(group: Group, records: Sequence[Record]) -> list[tuple[str, Record]]:
    """(label of the purifier, record) of each path stage of a group, one seed a purifier."""
    labels = {
        curve.id: label
        for (label, _), curves in group.paths.items()
        for curve in curves
        if curve.seed == min(other.seed for other in curves)
    }
    found: dict[str, Record] = {}
    for record in records:
        ours = [path for path in record.paths if GroupKey.of(path, record) == group.key]
        if ours and ours[0].id in labels:
            found.setdefault(labels[ours[0].id], record)
    return sorted(found.items())


def _layers(group: Group, records: Sequence[Record], look: Look) -> Drawing | None:
    lines, names = [], list[str]()
    for label, record in _walks_of(group, records):
        layers = record.details.get("layers, line")
        if not isinstance(layers, list) or not layers:
            continue
        here = [str(name) for name, _, _ in layers]
        if not names or here == names:
            names = here
            y = [100 * share if share else math.nan for _, _, share in layers]
            x = [float(k) for k in range(len(y))]
            lines.append(Series(label=label, x=x, y=y, low=y, high=y))
    if not lines:
        return None
    caption = (
        "How far each layer of the purified model lies from the backdoored one's, as a share of "
        "that one's norm, from the first layer to the last, on a logarithmic axis (first seed)."
    )
    if any(map(figures.normalises, names)):
        caption += " Above layers with weights, below those that normalise, as their names tell."
    svg = figures.layer_figure(lines, names, look)
    return Drawing(svg=svg, title="Distance layer by layer", caption=caption)


def _planes(group: Group, records: Sequence[Record]) -> list[Drawing]:
    found = []
    for label, record in _walks_of(group, records):
        if (plane := record.plane) is None:
            continue
        caption = (
            f"{label}: the plane through the backdoored, the purified and the retuned model "
            f"({plane.budget} poisoned images; first seed), {len(plane.x)} × {len(plane.y)} "
            f"points, batch norm recalibrated at each, losses over {plane.n_clean} clean and "
            f"{plane.n_triggered} triggered test images, on a logarithmic scale. Dark is low: on "
            "the left where the model works, on the right where the backdoor does. The axes are "
            "distances in weight space, drawn to different scales."
        )
        svg = figures.plane_figure(plane)
        found.append(Drawing(svg=svg, title=f"Plane of {label}", caption=caption))
    return found
