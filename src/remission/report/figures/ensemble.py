"""The heat map of an ensemble: the ASR after each retuning of each model."""

from __future__ import annotations

import math

from remission.report.figures.canvas import SIZE, Canvas, Point, text_width
from remission.report.figures.perturbed import heat
from remission.report.measures.retuning_map import RetuningCell, RetuningMap

_WIDTH = 749.0
_TALL = 14.0
"""The height of a cell."""
_WIDEST, _NARROWEST = 50.0, 22.0
"""Limits of the width of a cell."""
_ANGLE = 40
"""The angle of the names above the columns, in degrees."""
_GAP = 4.0
"""The space behind the control's column."""
_GREY, _EDGE, _INK = "#8a8a8a", "#ebe8e4", "#1b1b1b"


def ensemble_figure(map_: RetuningMap) -> str:
    """Draws a row per retuning and a column per model; darker is higher."""
    count, slope = len(map_.models), math.radians(_ANGLE)
    left = 8 + max(text_width(name, 8.5) for name in map_.retunings) + 6
    last = text_width(map_.models[-1]) * math.cos(slope)
    side = min(_WIDEST, max(_NARROWEST, (_WIDTH - left - _GAP - last) / count))
    top = 10 + max(map(text_width, map_.models)) * math.sin(slope) + SIZE
    right = left + _GAP + count * side
    canvas = Canvas(right + max(8, last - side / 2 + 8), top + len(map_.retunings) * _TALL + 8)
    columns = [left + number * side + (_GAP if number else 0) for number in range(count)]
    for label, x in zip(map_.models, columns, strict=True):
        canvas.text((x + side / 2, top - 6), label, angle=_ANGLE, colour="#333333")
    framed: list[Point] = []
    for number, (name, cells) in enumerate(zip(map_.retunings, map_.cells, strict=True)):
        y = top + number * _TALL
        middle = y + _TALL / 2
        canvas.text((left - 6, middle), name, anchor="end", size=8.5, colour="#333333")
        for x, cell in zip(columns, cells, strict=True):
            if cell is not None:
                _draw(canvas, (x, y), side, cell)
                framed += [(x, y)] if cell.worst else []
    for x, y in framed:  # last, so that no neighbour covers a part of it
        canvas.line(_outline(x, y, side, inset=0.7), _INK, 1.5)
    return canvas.svg()


def _draw(canvas: Canvas, corner: Point, side: float, cell: RetuningCell) -> None:
    x, y = corner
    canvas.area([_outline(x, y, side)], heat(cell.asr), stroke=_EDGE)
    if cell.costly:
        canvas.strokes(_hatches(x, y, side), _GREY, 0.5, opacity=0.55)
    canvas.text(
        (x + side / 2, y + _TALL / 2),
        f"{100 * cell.asr:.0f}",
        anchor="middle",
        size=8,
        bold=cell.worst,
        colour="white" if cell.asr > 0.7 else _INK,
    )


def _outline(x: float, y: float, side: float, inset: float = 0.0) -> list[Point]:
    """Returns the closed outline of a cell, ``inset`` points within it."""
    a, b, c, d = x + inset, y + inset, x + side - inset, y + _TALL - inset
    return [(a, b), (c, b), (c, d), (a, d), (a, b)]


def _hatches(x: float, y: float, side: float) -> list[list[Point]]:
    """Returns diagonal lines over a cell, from its lower left to its upper right."""
    lines = []
    for start in range(-int(_TALL), int(side), 5):
        low, high = max(0.0, -float(start)), min(_TALL, side - start)
        lines.append([(x + start + low, y + _TALL - low), (x + start + high, y + _TALL - high)])
    return lines
