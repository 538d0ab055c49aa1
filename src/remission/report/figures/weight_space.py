"""Figures of weight space: paths, losses, layers, planes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

from remission.records import Plane
from remission.report.figures.canvas import Canvas, text_width
from remission.report.figures.frame import NAMED, TITLE, Frame, Scale, margin, rounded
from remission.report.figures.lines import Panel, Series
from remission.report.figures.style import (
    Look,
    PointText,
    draw,
    legend,
    legend_height,
    point_text,
    style_of,
)

_NORMALISES = re.compile(r"(^|\.)(bn|norm)[^.]*$|(shortcut|downsample)\.1$")
_MARKS = {"victim": ("X", "victim"), "purified": ("o", "purified"), "retuned": ("^", "retuned")}
_GAP = 14.0
"""The gap between neighbouring panels."""
_UNIT = Scale(-0.02, 1.02)
_PERCENT = Scale(-3, 103)
_SLACK = 1e-6
"""The overlap of contours, so that the lowest and the highest points lie within one."""
_ABOVE = TITLE + 10
"""The height of the title of a panel."""


def path_figure(
    panels: Sequence[Panel],
    look: Look,
    across: str = "t (0: backdoored, 1: purified)",
) -> str:
    """Draws backdoor error above and clean accuracy below; one column per panel."""
    canvas = Canvas(72 * (5.4, 8.8, 11.0)[min(len(panels), 3) - 1], 389)
    top = _legend(canvas, panels[0].error, look) + _ABOVE
    accuracy = _at_least_ten(
        [y for panel in panels for line in panel.clean_acc for y in _all(line)]
    )
    left = margin(["100", *rounded(accuracy.ticks(5))], "backdoor error\n1 − ASR (%)")
    width = (canvas.width - left - 10 - (len(panels) - 1) * _GAP) / len(panels)
    free = canvas.height - top - NAMED - 16
    for number, panel in enumerate(panels):
        x = left + number * (width + _GAP)
        upper = Frame(canvas, (x, top), width, free * 2 / 3, _UNIT, _PERCENT)
        lower = Frame(canvas, (x, upper.bottom + 16), width, free / 3, _UNIT, accuracy)
        upper.title(panel.title)
        upper.draw_y("" if number else "backdoor error\n1 − ASR (%)", texts=number == 0)
        upper.draw_x(texts=False)
        lower.draw_y("" if number else "C-Acc (%)", texts=number == 0)
        lower.draw_x(across)
        error, right = point_text("t", "1 \u2212 ASR", "%"), point_text("t", "C-Acc", "%")
        draw(upper, panel.error, look, bars=False, text_of=error)
        draw(lower, panel.clean_acc, look, bars=False, width=1.0, text_of=right)
    return canvas.svg()


def _all(line: Series) -> list[float]:
    return [*line.y, *line.low, *line.high]


def _at_least_ten(values: Sequence[float]) -> Scale:
    """Returns a scale of at least ten points, on which a flat line looks flat."""
    scale = Scale.around(values)
    if scale.high - scale.low < 10:
        middle = (scale.low + scale.high) / 2
        scale = Scale(middle - 5, middle + 5)
    return scale


def _legend(canvas: Canvas, lines: Sequence[Series], look: Look) -> float:
    """Draws the names of lines and returns their height."""
    legend(canvas, {line.label: style_of(line, look) for line in lines})
    return legend_height([line.label for line in lines], canvas.width)


def loss_figure(panel: Panel, look: Look) -> str:
    """Draws backdoor loss and clean loss along the line, side by side."""
    canvas = Canvas(634, 259)
    top = _legend(canvas, panel.error, look) + _ABOVE
    parts = (
        (panel.error, "backdoor loss (triggered images, target)", "cross entropy (nats)"),
        (panel.clean_acc, "clean loss", ""),
    )
    left = 0.0
    for number, (lines, name, label) in enumerate(parts):
        highest = max((y for line in lines for y in line.y), default=1) or 1
        y = Scale(0, 1.06 * highest)
        room = margin(rounded(y.ticks(9)), label)
        width = canvas.width / 2 - room - 8
        frame = Frame(canvas, (left + room, top), width, canvas.height - top - NAMED, _UNIT, y)
        frame.title(name)
        frame.draw_y(label)
        frame.draw_x("t (0: backdoored, 1: purified)")
        draw(frame, lines, look, bars=False, text_of=point_text("t", name.partition(" (")[0]))
        left = (number + 1) * canvas.width / 2
    return canvas.svg()


def layer_figure(lines: Sequence[Series], layers: Sequence[str], look: Look) -> str:
    """Draws the relative distance of each layer, first to last, on a logarithmic axis.

    Layers that normalise, by their names, have a panel of their own: their few weights move less
    than those of their neighbours, and one line through both would go up and down.
    """
    numbers = range(len(layers))
    normalising = [k for k in numbers if normalises(layers[k])]
    parts = [[k for k in numbers if k not in normalising], normalising]
    parts = [part for part in parts if part]
    canvas = Canvas(634, 72 * (3.4 * len(parts) + 0.6))
    top = _legend(canvas, lines, look) + 4
    share = (canvas.height - top) / len(parts)
    for number, part in enumerate(parts):
        step = math.ceil(len(part) / 40)
        names_shown = [layers[k] for k in part]
        below = 13 + max(text_width(name, 7.5) for name in names_shown[::step])
        y = Scale.around([line.y[k] for line in lines for k in part], "log")
        names = _plain(y.ticks(9))
        left = margin(names, "distance (% of the norm)")
        frame = Frame(
            canvas,
            (left, top + number * share),
            canvas.width - left - 8,
            share - below - 8,
            Scale.around([0, len(part) - 1]),
            y,
        )
        frame.draw_y("distance (% of the norm)", write=_plain)
        frame.draw_names(names_shown, step=step)
        values = [[line.y[k] for k in part] for line in lines]
        x = [float(index) for index in range(len(part))]
        draw(
            frame,
            [replace(o, x=x, y=y, low=y, high=y) for o, y in zip(lines, values, strict=True)],
            look,
            bars=False,
            text_of=_layer_text(names_shown),
        )
    return canvas.svg()


def _layer_text(names: Sequence[str]) -> PointText:
    """Returns a function that writes the distance of a layer: ``layer1.0.conv1: 2.1 %``."""
    return lambda line, index: f"{names[index]}: {line.y[index]:.3g} %"


def _plain(ticks: Sequence[float]) -> list[str]:
    return [f"{tick:g}" for tick in ticks]


def normalises(layer: str) -> bool:
    """Returns whether a layer normalises, by its name; names in vgg19_bn do not show it."""
    return _NORMALISES.search(layer) is not None


def plane_figure(plane: Plane) -> str:
    """Draws contours of clean loss and of backdoor loss side by side, the three models marked."""
    canvas = Canvas(634, 281)
    x, y = Scale(plane.x[0], plane.x[-1]), Scale(plane.y[0], plane.y[-1])
    label = "distance at right angles,\ntowards the retuned model"
    left = margin(rounded(y.ticks(9)), label)
    width = (canvas.width - left) / 2 - 68
    for number, (values, name, colours) in enumerate(
        (
            (plane.clean_loss, "clean loss", "viridis"),
            (plane.backdoor_loss, "backdoor loss", "magma"),
        )
    ):
        corner = (left + number * (canvas.width - left) / 2, _ABOVE)
        frame = Frame(canvas, corner, width, canvas.height - _ABOVE - NAMED, x, y)
        frame.title(name + _contours(frame, plane, values, colours))
        frame.draw_y("" if number else label, grid=False, texts=number == 0)
        frame.draw_x("distance from the victim towards the purified model")
        _models(frame, plane)
    return canvas.svg()


def _contours(frame: Frame, plane: Plane, values: Sequence[Sequence[float]], colours: str) -> str:
    """Draws one panel; returns a remark for its title where all values are alike, else ``""``."""
    import numpy as np
    from contourpy import contour_generator
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    floor = 1e-3  # smaller losses look alike
    logs = [[math.log10(max(floor, value)) for value in row] for row in values]
    low, high = (pick(pick(row) for row in logs) for pick in (min, max))
    remark, even = "", high - low < 0.1
    if even:
        size = f"{10**low:.2g}"
        remark = f": at most {size} everywhere" if 10**low <= floor else f": {size} everywhere"
        high = low + 0.1
    levels = [low + k * (high - low) / 12 for k in range(13)]
    shades = [to_hex(colormaps[colours]((k + 0.5) / 12)) for k in range(12)]
    contours = contour_generator(plane.x, plane.y, logs, fill_type="OuterOffset")
    for shade, (start, end) in zip(shades, pairwise(levels), strict=True):
        outlines = _outlines(contours.filled(start - _SLACK, end + _SLACK))
        frame.canvas.area([frame.points(*o) for o in outlines], shade, stroke=shade, width=0.3)
    lines = chain.from_iterable(contours.lines(level) for level in levels[1:-1])
    frame.canvas.strokes([frame.points(*np.array(line).T) for line in lines], "white", 0.3)
    if not even:  # else every mark of the scale would have the same label
        _colour_bar(frame, shades, levels)
    return remark


def _outlines(contours: Any) -> Iterator[tuple[list[float], list[float]]]:  # noqa: ANN401
    """Yields the x and the y of every outline and hole in contourpy's ``OuterOffset``."""
    for points, offsets in zip(*contours, strict=True):
        for start, end in pairwise(offsets.tolist()):
            x, y = points[start:end].T.tolist()
            yield x, y


def _colour_bar(frame: Frame, shades: Sequence[str], levels: Sequence[float]) -> None:
    """Draws the colour scale of losses at the right of a frame, logarithmic."""
    height = 0.9 * frame.height
    top, left, step = frame.top + 0.05 * frame.height, frame.right + 9, height / len(shades)
    for number, shade in enumerate(shades):
        corner = (left, top + height - (number + 1) * step)
        frame.canvas.box(corner, 9.5, step + 0.2, shade)
    for number, level in list(enumerate(levels))[::2]:
        y = top + height - number * step
        frame.canvas.line([(left + 9.5, y), (left + 13, y)], "#333333")
        frame.canvas.text((left + 16.5, y), f"{10**level:.2g}", colour="#333333")


def _models(frame: Frame, plane: Plane) -> None:
    for name, (x, y) in plane.models.items():
        marker, text = _MARKS[name]
        at = frame.at(x, y)
        frame.canvas.marks([at], marker, "black", fill="white", size=8)
        width = text_width(text, 8.5)
        middle = at[1] - 8 - 8.5 / 2
        corner = (at[0] - width / 2 - 1, middle - 8.5 / 2 - 1)
        frame.canvas.box(corner, width + 2, 8.5 + 2, "white", opacity=0.75)
        frame.canvas.text((at[0], middle), text, size=8.5, anchor="middle")
