"""What all figures share: colours, how a line looks, and the legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from remission.report.figures.canvas import SIZE, Canvas, text_width
from remission.report.figures.frame import GREY, Frame
from remission.report.figures.lines import Series

# Okabe and Ito's palette, less yellow (too faint on white) and black (the control's).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_DASHES = ("-", ":", "-.")


@dataclass(frozen=True)
class Style:
    """How one purifier is drawn in every figure of the page."""

    colour: str
    marker: str
    dash: str = "-"
    width: float = 1.6


Look = Mapping[str, Style]
"""Label of a purifier or an attack -> how it is drawn."""
PointText = Callable[[Series, int], str]
"""Takes a line and the index of a point, returns what a reader sees near it."""
CONTROL_STYLE = Style("#000000", "", "--", 2.6)


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """Returns label -> style, all different: where colours repeat, lines are dashed."""
    colours, markers, dashes = len(_COLOURS), len(_MARKERS), len(_DASHES)
    return {
        label: Style(_COLOURS[i % colours], _MARKERS[i % markers], _DASHES[i // colours % dashes])
        for i, label in enumerate(dict.fromkeys(labels))
    }


def style_of(line: Series, look: Look) -> Style:
    """Returns the style of a line; the control has its own."""
    return CONTROL_STYLE if line.control else look.get(line.label, Style(GREY, "o"))


def draw(
    frame: Frame,
    lines: Sequence[Series],
    look: Look,
    *,
    bars: bool,
    width: float | None = None,
    text_of: PointText,
) -> None:
    """Draws lines with bars or bands for their intervals, the control's on top.

    Args:
        frame: the frame to draw in.
        lines: values and intervals.
        look: label -> style.
        bars: whether intervals are vertical bars; else they are bands.
        width: of the lines, which then have no marks; None: as in their styles.
        text_of: returns what a reader sees near a point, as :func:`point_text` makes it.
    """
    for line in sorted(lines, key=lambda line: line.control):
        style = style_of(line, look)
        points = frame.points(line.x, line.y)
        low, high = frame.points(line.x, line.low), frame.points(line.x, line.high)
        texts = [text_of(line, index) for index in range(len(points))]
        with frame.canvas.named(line.label, style.colour, zip(points, texts, strict=True)):
            if not bars and line.low != line.y:
                frame.canvas.area([[*low, *reversed(high)]], style.colour, opacity=0.15)
            frame.canvas.line(points, style.colour, width or style.width, dash=style.dash)
            if width is None:
                step = 1 if bars else max(1, len(points) // 7)
                frame.canvas.marks(points[::step], style.marker, style.colour)
            if bars:
                frame.canvas.strokes(zip(low, high, strict=True), style.colour, 1)


def point_text(across: str, up: str, unit: str = "") -> PointText:
    """Returns a function that writes the values of a line at its points: ``t = 0.5: C-Acc 90.1 %``.

    Args:
        across: the name of x.
        up: the name of y.
        unit: of y.
    """

    def text_of(line: Series, index: int) -> str:
        value, low, high = (f"{v:.3g}" for v in (line.y[index], line.low[index], line.high[index]))
        ends = f" [{low}, {high}]" if line.low[index] < line.high[index] else ""
        text = f"{across} = {line.x[index]:g}: {up} {value}{f' {unit}' if unit else ''}{ends}"
        return text.replace("-", "\u2212")

    return text_of


_HANDLE, _GAP, _BETWEEN, _ROW = 2 * SIZE, 0.8 * SIZE, 2 * SIZE, 1.55 * SIZE


def _columns(names: Sequence[str], width: float) -> list[Sequence[str]]:
    """Returns the columns of a legend: as many as fit side by side, at most five."""
    for count in range(min(5, len(names)), 0, -1):
        rows = math.ceil(len(names) / count)
        columns = [names[start : start + rows] for start in range(0, len(names), rows)]
        if count == 1 or sum(map(_width, columns)) - _BETWEEN <= width - 12:
            return columns
    return []


def _width(column: Sequence[str]) -> float:
    return _HANDLE + _GAP + max(map(text_width, column)) + _BETWEEN


def legend_height(names: Sequence[str], width: float) -> float:
    """Returns the height of a legend at the top of a figure of a width."""
    columns = _columns(names, width)
    return len(columns[0]) * _ROW + 10 if columns else 0.0


def legend(canvas: Canvas, look: Look, *, lines: bool = True) -> None:
    """Draws the names of lines at the top of a figure.

    Args:
        canvas: the canvas to draw on.
        look: name -> style.
        lines: whether the line is shown behind the mark.
    """
    with canvas.legend(legend_height(list(look), canvas.width)):
        x = 6.0
        for column in _columns(list(look), canvas.width):
            for row, name in enumerate(column):
                style, y = look[name], 6 + (row + 0.5) * _ROW
                if lines:
                    ends = [(x, y), (x + _HANDLE, y)]
                    canvas.line(ends, style.colour, style.width, dash=style.dash)
                canvas.marks([(x + _HANDLE / 2, y)], style.marker, style.colour)
                canvas.text((x + _HANDLE + _GAP, y), name)
            x += _width(column)
