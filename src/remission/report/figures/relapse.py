"""Relapse curves, and ASR before and after a reactivation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from remission.report.figures.lines import Series
from remission.report.figures.style import GREY, RC, Style, draw, style_of, svg_of


def relapse_figure(
    series: Sequence[Series], look: Mapping[str, Style], victim: float | None
) -> str:
    """ASR in percent against the number of poisoned images, on an axis that also shows 0."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.2, max(3.9, 0.23 * len(series) + 1.2)), layout="constrained")
        axes = figure.add_subplot()
        for line in series:
            draw(axes, line, look, bars=True)
        if victim is not None:
            axes.axhline(victim, color=GREY, linewidth=0.9, zorder=1)
            axes.annotate(
                "victim",
                (0, victim),
                xytext=(2, -3 if victim > 50 else 3),
                textcoords="offset points",
                va="top" if victim > 50 else "bottom",
                color=GREY,
                fontsize=8.5,
            )
        budgets = sorted({x for line in series for x in line.x} | {0.0})
        axes.set_xscale("symlog", linthresh=1, linscale=0.6)
        axes.xaxis.set_major_locator(FixedLocator(_thinned(budgets)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda x, _: "0" if x == 0 else f"{x:g}")
        axes.set_xlim(-0.12, max(budgets) * 1.12)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("poisoned images that the reactivation used (0: none, O-ASR)")
        axes.set_ylabel("ASR (%)")
        _label_ends(axes, series, look)
        return svg_of(figure)


def before_after_figure(
    rows: Sequence[tuple[Series, Series]],
    look: Mapping[str, Style],
    control: Mapping[str, float] | None = None,
) -> str:
    """One line a model: a hollow mark for O-ASR, a full one for P-ASR.

    Args:
        rows: before and after.
        look: label -> style.
        control: label -> ASR in percent that the same perturbation has on the control: a black bar.
    """
    with mpl.rc_context(RC | {"axes.grid.axis": "x"}):
        figure = Figure(figsize=(8.2, 0.32 * len(rows) + 1.1), layout="constrained")
        axes = figure.add_subplot()
        for place, (before, after) in enumerate(rows):
            style = style_of(before, look)
            marker = style.marker or "d"
            axes.plot([before.y[0], after.y[0]], [place, place], color=style.colour, lw=1.2)
            axes.plot(
                [after.low[0], after.high[0]], [place, place], color=style.colour, lw=4, alpha=0.3
            )
            axes.plot(before.y, [place], marker, color=style.colour, markerfacecolor="white")
            axes.plot(after.y, [place], marker, color=style.colour)
            if control and before.label in control:
                at = control[before.label]
                axes.plot([at, at], [place - 0.3, place + 0.3], color="black", lw=2.2, zorder=4)
        axes.set_yticks(range(len(rows)), [before.label for before, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(-3, 103)
        told = any(before is not after for before, after in rows)
        axes.set_xlabel("ASR (%)" + (": hollow before, full after the reactivation" * told))
        return svg_of(figure)


def _thinned(budgets: Sequence[float]) -> list[float]:
    """Budgets whose labels do not touch on a logarithmic axis; the largest always stays."""
    kept: list[float] = []
    for budget in sorted(budgets, reverse=True):
        if not kept or kept[-1] > 1.35 * budget:
            kept.append(budget)
    return kept


def _label_ends(axes: Axes, series: Sequence[Series], look: Mapping[str, Style]) -> None:
    """Names beside the ends of the lines, pushed apart where they would overlap."""
    ends = {
        line.label: next(p for p in zip(line.x[::-1], line.y[::-1], strict=True) if p[1] == p[1])
        for line in series
    }
    ordered = sorted(series, key=lambda line: ends[line.label][1])
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # the layout fixes the height
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    low, high = axes.get_ylim()
    step = min(12.0 * (high - low) / height, (high - low) / max(1, len(ordered)))
    places = _spread([ends[line.label][1] for line in ordered], step, 100)
    for line, y in zip(ordered, places, strict=True):
        style = style_of(line, look)
        axes.annotate(
            line.label,
            ends[line.label],
            xytext=(1.035, (y - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            color=style.colour,
            fontsize=9,
            fontweight="bold" if line.control else "normal",
            arrowprops={"arrowstyle": "-", "color": style.colour, "lw": 0.5, "shrinkB": 4},
        )


def _spread(values: Sequence[float], step: float, top: float) -> list[float]:
    """Ascending ``values`` moved as little as two passes can, at least ``step`` apart."""
    places = list(values)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    limit = top
    for i in reversed(range(len(places))):
        places[i] = min(places[i], limit)
        limit = places[i] - step
    return places
