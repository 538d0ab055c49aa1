"""Relapse curves, and ASR before and after a reactivation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remission.report.figures.canvas import Canvas, text_width
from remission.report.figures.frame import GREY, NAMED, Frame, Scale, margin
from remission.report.figures.lines import Series
from remission.report.figures.style import Look, draw, point_text, style_of

_WIDTH = 590.0
_PERCENT = Scale(-3, 103)


def relapse_figure(series: Sequence[Series], look: Look, victim: float | None) -> str:
    """Draws ASR in percent against the number of poisoned images, on an axis that also shows 0."""
    height = 72 * max(3.9, 0.23 * len(series) + 1.2)
    canvas = Canvas(_WIDTH, height)
    label, left = "ASR (%)", margin(["100"], "ASR (%)")
    names_width = max(
        (text_width(line.label, 9, bold=line.control) for line in series), default=0.0
    )
    budgets = sorted({x for line in series for x in line.x} | {0.0})
    frame = Frame(
        canvas,
        (left, 6),
        (_WIDTH - left - names_width - 6) / 1.035,
        height - 6 - NAMED,
        Scale(-0.12, max(budgets) * 1.12, "symlog"),
        _PERCENT,
    )
    frame.draw_y(label)
    frame.draw_x(
        "poisoned images that the reactivation used (0: none, O-ASR)",
        ticks=_thinned(budgets),
        write=lambda ticks: [f"{tick:g}" for tick in ticks],
    )
    if victim is not None:
        start, end = frame.at(frame.x.low, victim), frame.at(frame.x.high, victim)
        canvas.line([start, end], GREY, 0.9)
        x, y = frame.at(0, victim)
        canvas.text((x + 2, y + (7 if victim > 50 else -7)), "victim", colour=GREY, size=8.5)
    draw(frame, series, look, bars=True, text_of=point_text("n", "ASR", "%"))
    _label_ends(frame, series, look)
    return canvas.svg()


def before_after_figure(
    rows: Sequence[tuple[Series, Series]],
    look: Look,
    control: Mapping[str, float] | None = None,
) -> str:
    """Draws one line per model: a hollow mark for O-ASR, a full one for P-ASR.

    Args:
        rows: the values before and after.
        look: label -> style.
        control: label -> ASR in percent of the same perturbation on the control, a thick bar.
    """
    height = 72 * (0.32 * len(rows) + 1.1)
    canvas = Canvas(_WIDTH, height)
    names = [before.label for before, _ in rows]
    left = margin(names)
    frame = Frame(
        canvas,
        (left, 6),
        _WIDTH - left - 8,
        height - 6 - NAMED,
        _PERCENT,
        Scale(len(rows) - 0.5, -0.5),
    )
    ticks = frame.x.ticks(9)
    across = [[frame.at(tick, frame.y.low), frame.at(tick, frame.y.high)] for tick in ticks]
    canvas.strokes(across, "#e4e4e4")
    several = any(before is not after for before, after in rows)
    frame.draw_x("ASR (%)" + (": hollow before, full after the reactivation" * several))
    frame.draw_rows(names)
    for index, (before, after) in enumerate(rows):
        style = style_of(before, look)
        marker, colour = style.marker or "d", style.colour
        whole = frame.points([before.y[0], after.y[0]], [index, index])
        canvas.line(whole, colour, 1.2)
        interval = frame.points([after.low[0], after.high[0]], [index, index])
        canvas.line(interval, colour, 4, opacity=0.3)
        canvas.marks(whole[:1], marker, colour, fill="white")
        canvas.marks(whole[1:], marker, colour)
        if control and before.label in control:
            at = control[before.label]
            canvas.line(frame.points([at, at], [index - 0.3, index + 0.3]), "black", 2.2)
    return canvas.svg()


def _thinned(budgets: Sequence[float]) -> list[float]:
    """Returns budgets whose labels do not touch on a logarithmic axis, the largest included."""
    ticks: list[float] = []
    for budget in sorted(budgets, reverse=True):
        if not ticks or ticks[-1] > 1.35 * budget:
            ticks.append(budget)
    return ticks


def _label_ends(frame: Frame, series: Sequence[Series], look: Look) -> None:
    """Writes names at the ends of the lines, and moves them where they would overlap."""
    ends = {
        line.label: next(p for p in zip(line.x[::-1], line.y[::-1], strict=True) if p[1] == p[1])
        for line in series
    }
    ordered = sorted(series, key=lambda line: ends[line.label][1])
    span = frame.y.high - frame.y.low
    step = min(12.0 * span / frame.height, span / max(1, len(ordered)))
    heights = _spread([ends[line.label][1] for line in ordered], step, 100)
    for line, height in zip(ordered, heights, strict=True):
        style = style_of(line, look)
        x, y = frame.left + 1.035 * frame.width, frame.at(0, height)[1]
        end = frame.at(*ends[line.label])
        with frame.canvas.named(line.label, style.colour):
            frame.canvas.line([(end[0] + 4, end[1]), (x - 2, y)], style.colour, 0.5)
            frame.canvas.text((x, y), line.label, colour=style.colour, size=9, bold=line.control)


def _spread(values: Sequence[float], step: float, top: float) -> list[float]:
    """Returns ascending ``values`` that two passes have moved at least ``step`` apart."""
    heights = list(values)
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + step)
    limit = top
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], limit)
        limit = heights[i] - step
    return heights
