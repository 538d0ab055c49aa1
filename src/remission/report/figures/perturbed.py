"""The transfer matrix: the ASR of perturbations that are made for one model and tried on all."""

from __future__ import annotations

import math

from remission.report.figures.canvas import SIZE, Canvas, text_width
from remission.report.measures.transfer import Matrix

_COLOURS = ((0xFF, 0xFF, 0xFF), (0xF3, 0xC4, 0xA0), (0xD5, 0x5E, 0x00))
"""The colours at an ASR of 0, of one half and of 1."""
_SIDE = 0.7 * 72
"""The width of a cell."""
_ANGLE = 40
"""The angle of the names above the columns, in degrees."""


def transfer_figure(matrix: Matrix) -> str:
    """Draws a matrix: a row per model made for, a column per model tried on; darker is higher."""
    count, tall = len(matrix.labels), 0.66 * _SIDE
    names_width = max(map(text_width, matrix.labels))
    left, slope = SIZE + 16 + names_width, math.radians(_ANGLE)
    top = SIZE + 16 + names_width * math.sin(slope) + SIZE
    beyond = text_width(matrix.labels[-1]) * math.cos(slope) - _SIDE / 2
    canvas = Canvas(left + count * _SIDE + max(8, beyond + 8), top + count * tall + 8)
    for i, row in enumerate(matrix.asr):
        y = top + i * tall
        canvas.text((left - 6, y + tall / 2), matrix.labels[i], anchor="end", colour="#333333")
        for j, value in enumerate(row):
            x = left + j * _SIDE
            corners = [(x, y), (x + _SIDE, y), (x + _SIDE, y + tall), (x, y + tall)]
            canvas.area([corners], heat(value), stroke="#ebe8e4")
            canvas.text(
                (x + _SIDE / 2, y + tall / 2),
                f"{100 * value:.0f}",
                anchor="middle",
                size=9,
                bold=i == j,
                colour="white" if value > 0.7 else "#1b1b1b",
            )
    for j, label in enumerate(matrix.labels):
        at = (left + (j + 0.5) * _SIDE, top - 6)
        canvas.text(at, label, angle=_ANGLE, colour="#333333")
    middle = top + count * tall / 2
    canvas.text((left + count * _SIDE / 2, SIZE / 2 + 6), "tried on", anchor="middle")
    canvas.text((SIZE / 2 + 4, middle), "made for", anchor="middle", angle=90)
    return canvas.svg()


def heat(value: float) -> str:
    """Returns white at 0, dark orange at 1, light orange half-way."""
    position = 2 * min(1.0, max(0.0, value))
    low, high = (_COLOURS[:2], _COLOURS[1:])[position > 1]
    share = position - (position > 1)
    mixed = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
