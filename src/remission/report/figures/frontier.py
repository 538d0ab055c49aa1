"""Clean accuracy lost against relapse, one line per purifier along its settings."""

from __future__ import annotations

from collections.abc import Sequence

from remission.intervals import student_half_width
from remission.report.figures.canvas import Canvas
from remission.report.figures.frame import GREY, NAMED, Frame, Scale, margin, rounded
from remission.report.figures.style import Look, Style, legend, legend_height
from remission.report.measures.frontier import COSTS, Frontier, FrontierPoint

_WIDTH, _HEIGHT = 749.0, 420.0
_NAME = "relapse gap (points)"


def frontier_figure(frontiers: Sequence[Frontier], look: Look) -> str:
    """Draws each setting as a mark with bars for both 95 % intervals over the cells.

    Args:
        frontiers: purifiers under one reactivation.
        look: label of a purifier -> style.
    """
    canvas = Canvas(_WIDTH, _HEIGHT)
    shown = {line.label: look[line.label] for line in frontiers}
    legend(canvas, shown)
    points = [point for line in frontiers for point in line.points]
    x = Scale.around([0.0, 100 * COSTS[-1], *(100 * point.loss for point in points)])
    y = Scale.around([0.0, *(100 * point.relapse for point in points)])
    top, left = legend_height(list(shown), _WIDTH) + 4, margin(rounded(y.ticks(9)), _NAME)
    frame = Frame(canvas, (left, top), _WIDTH - left - 8, _HEIGHT - top - NAMED - 6, x, y)
    frame.draw_y(_NAME)
    frame.draw_x("clean accuracy lost (points)")
    canvas.line(frame.points([x.low, x.high], [0, 0]), GREY)
    for line in frontiers:
        _draw(frame, line, shown[line.label])
    return canvas.svg()


def _draw(frame: Frame, line: Frontier, style: Style) -> None:
    positions = [frame.at(100 * point.loss, 100 * point.relapse) for point in line.points]
    texts = [
        f"{point.label}: C-Acc lost {100 * point.loss:.1f}, relapse gap {100 * point.relapse:+.1f}"
        for point in line.points
    ]
    with frame.canvas.named(line.label, style.colour, zip(positions, texts, strict=True)):
        frame.canvas.line(positions, style.colour, style.width, dash=style.dash)
        for point in line.points:
            for across in (True, False):
                if ends := _ends(point, across=across):
                    frame.canvas.line(
                        [frame.within(*end) for end in ends], style.colour, 0.8, opacity=0.45
                    )
        frame.canvas.marks(positions, style.marker, style.colour)


def _ends(point: FrontierPoint, *, across: bool) -> list[tuple[float, float]]:
    """Returns the ends of one interval in points; empty where it is unknown or too wide to read."""
    values = [pair[0 if across else 1] for pair in point.cells.values()]
    half = student_half_width(values)
    if half is None or half > (COSTS[-1] if across else 0.5):
        return []
    x, y = 100 * point.loss, 100 * point.relapse
    dx, dy = (100 * half, 0.0) if across else (0.0, 100 * half)
    return [(x - dx, y - dy), (x + dx, y + dy)]
