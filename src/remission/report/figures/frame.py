"""A frame on a canvas: two scales with their ticks, labels and grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from remission.report.figures.canvas import SIZE, Canvas, Point, text_width

Writer = Callable[[Sequence[float]], list[str]]
"""Ticks -> their labels."""
GREY = "#6b6b6b"
_GRID = "#e4e4e4"
_TICK = "#333333"
_LENGTH = 3.5
"""The length of a tick, and of the gap between a tick and its label."""
TITLE = 10.0
"""The size of a title."""


@dataclass(frozen=True)
class Scale:
    """A scale, which puts values between the two ends of an axis.

    Args:
        low: the value at the left or lower end.
        high: the value at the right or upper end.
        kind: ``symlog`` is linear from 0 to 1, on six tenths of the length of a factor of 10, and
            logarithmic above.
    """

    low: float
    high: float
    kind: Literal["linear", "log", "symlog"] = "linear"

    @classmethod
    def around(cls, values: Iterable[float], kind: Literal["linear", "log"] = "linear") -> Scale:
        """Returns a scale with a margin of a twentieth of the values' span at either side."""
        finite = [value for value in values if math.isfinite(value)]
        finite = [value for value in finite if kind == "linear" or value > 0] or [1.0]
        ends = [cls(0, 1, kind).forward(end) for end in (min(finite), max(finite))]
        pad = 0.05 * (ends[1] - ends[0]) or 0.05
        low, high = ends[0] - pad, ends[1] + pad
        return cls(low, high) if kind == "linear" else cls(10**low, 10**high, kind)

    def forward(self, value: float) -> float:
        """Returns the value on a linear axis; NaN where it has no place there."""
        if self.kind == "linear" or math.isnan(value):
            return value
        if self.kind == "log":
            return math.log10(value) if value > 0 else math.nan
        linear = 0.6 / (1 - 1 / 10)
        return value * linear if value <= 1 else linear + math.log10(value)

    def share(self, value: float) -> float:
        """Returns 0 at the low and 1 at the high end."""
        low, high = self.forward(self.low), self.forward(self.high)
        return (self.forward(value) - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Returns at most ``most`` + 1 round values between the ends."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        if self.kind == "log":
            values = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(self.low, self.high)
        else:
            locator = MaxNLocator(nbins=max(1, most), steps=[1, 2, 2.5, 5, 10])
            values = locator.tick_values(self.low, self.high)
        slack = 1e-9 * abs(self.high - self.low)
        return [float(v) for v in values if self.low - slack <= v <= self.high + slack]


def rounded(ticks: Sequence[float]) -> list[str]:
    """Returns round values as text, all with as many digits as the longest of them needs."""
    for digits in range(12):
        texts = [f"{tick + 0.0:.{digits}f}" for tick in ticks]
        steps = zip(ticks, texts, strict=True)
        spread = max(map(abs, ticks), default=0.0) or 1.0
        if all(abs(float(text) - tick) < 1e-6 * spread for tick, text in steps):
            break
    return [text.replace("-", "−") for text in texts]


class Frame:
    """A rectangle of a canvas with an x and a y scale.

    Args:
        canvas: the canvas to draw on.
        corner: the upper left corner.
        width: in points.
        height: in points.
        x: the scale from left to right.
        y: the scale from the lower to the upper end.
    """

    def __init__(
        self, canvas: Canvas, corner: Point, width: float, height: float, x: Scale, y: Scale
    ) -> None:
        self.canvas, self.x, self.y = canvas, x, y
        self.left, self.top = corner
        self.width, self.height = width, height
        self.bottom, self.right = self.top + height, self.left + width

    def at(self, x: float, y: float) -> Point:
        """Returns where a pair of values lies."""
        return (
            self.left + self.width * self.x.share(x),
            self.bottom - self.height * self.y.share(y),
        )

    def within(self, x: float, y: float) -> Point:
        """Returns where a pair of values lies, or where the frame ends in its direction."""
        return self.at(min(max(x, self.x.low), self.x.high), min(max(y, self.y.low), self.y.high))

    def points(self, x: Iterable[float], y: Iterable[float]) -> list[Point]:
        """Returns where pairs of values lie."""
        return [self.at(a, b) for a, b in zip(x, y, strict=True)]

    def draw_y(
        self, label: str = "", *, grid: bool = True, texts: bool = True, write: Writer = rounded
    ) -> None:
        """Draws the left axis.

        Args:
            label: the name of the axis, turned upwards; it may have several lines.
            grid: whether lines go across the frame.
            texts: whether the ticks have labels.
            write: ticks -> labels.
        """
        ticks = self.y.ticks(min(9, int(self.height / (1.3 * SIZE))))
        positions = [self.at(self.x.low, tick)[1] for tick in ticks]
        if grid:
            self.canvas.strokes([[(self.left, y), (self.right, y)] for y in positions], _GRID)
        self._axis([(self.left, self.top), (self.left, self.bottom)],
                   [[(self.left - _LENGTH, y), (self.left, y)] for y in positions])  # fmt: skip
        names = write(ticks) if texts else []
        for y, name in zip(positions, names, strict=False):
            self.canvas.text((self.left - 2 * _LENGTH, y), name, colour=_TICK, anchor="end")
        text_space = max(map(text_width, names), default=0.0)
        lines = label.split("\n") if label else []
        for number, line in enumerate(reversed(lines)):
            x = self.left - 2 * _LENGTH - text_space - 4 - SIZE * (0.5 + 1.25 * number)
            self.canvas.text((x, self.top + self.height / 2), line, anchor="middle", angle=90)

    def draw_x(
        self,
        label: str = "",
        *,
        ticks: Sequence[float] | None = None,
        texts: bool = True,
        most: int = 9,
        write: Writer = rounded,
    ) -> None:
        """Draws the lower axis.

        Args:
            label: the name of the axis.
            ticks: values with a tick; None: round values.
            texts: whether the ticks have labels.
            most: the largest number of ticks, less one.
            write: ticks -> labels.
        """
        if ticks is None:
            ticks = self.x.ticks(min(most, int(self.width / (3 * SIZE))))
        positions = [self.at(tick, self.y.low)[0] for tick in ticks]
        self._axis([(self.left, self.bottom), (self.right, self.bottom)],
                   [[(x, self.bottom), (x, self.bottom + _LENGTH)] for x in positions])  # fmt: skip
        below = self.bottom + 2 * _LENGTH + SIZE / 2
        if texts:
            for x, name in zip(positions, write(ticks), strict=True):
                self.canvas.text((x, below), name, colour=_TICK, anchor="middle")
        if label:
            middle = self.left + self.width / 2
            self.canvas.text((middle, below + SIZE + 4), label, anchor="middle")

    def draw_names(self, names: Sequence[str], *, step: int = 1, size: float = 7.5) -> None:
        """Draws the lower axis with names at 0, 1, ..., written upwards, or with some of them.

        Args:
            names: one per whole number.
            step: every ``step``-th name is shown.
            size: of the font.
        """
        numbers = range(0, len(names), step)
        positions = [self.at(number, self.y.low)[0] for number in numbers]
        self._axis([(self.left, self.bottom), (self.right, self.bottom)],
                   [[(x, self.bottom), (x, self.bottom + _LENGTH)] for x in positions])  # fmt: skip
        for number, x in zip(numbers, positions, strict=True):
            at = (x, self.bottom + 2 * _LENGTH)
            self.canvas.text(at, names[number], colour=_TICK, size=size, anchor="end", angle=90)

    def draw_rows(self, names: Sequence[str]) -> None:
        """Draws the left axis with names at 0, 1, ..."""
        positions = [self.at(self.x.low, number)[1] for number in range(len(names))]
        self._axis([(self.left, self.top), (self.left, self.bottom)],
                   [[(self.left - _LENGTH, y), (self.left, y)] for y in positions])  # fmt: skip
        for y, name in zip(positions, names, strict=True):
            self.canvas.text((self.left - 2 * _LENGTH, y), name, colour=_TICK, anchor="end")

    def title(self, text: str) -> None:
        """Writes a title above the frame, starting at its left side."""
        self.canvas.text((self.left, self.top - 6 - TITLE / 2), text, size=TITLE)

    def _axis(self, line: list[Point], ticks: list[list[Point]]) -> None:
        self.canvas.line(line, GREY)
        self.canvas.strokes(ticks, _TICK)


def margin(ticks: Iterable[str], label: str = "") -> float:
    """Returns the width of the left axis with these tick labels and this name."""
    width = max(map(text_width, ticks), default=0.0)
    lines = len(label.split("\n")) if label else 0
    return 3 + 2 * _LENGTH + width + (4 + SIZE + 1.25 * SIZE * (lines - 1) if lines else 0)


BELOW = 3 + 2 * _LENGTH + SIZE
"""The height of the lower axis without a name."""
NAMED = BELOW + SIZE + 4
"""The height of the lower axis with a name."""
