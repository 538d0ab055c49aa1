"""The figures, drawn by matplotlib without a display. Each function returns SVG text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from remission.report.series import Panel, Series

# Okabe and Ito's palette, less yellow (too faint on white) and black (the control's).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_GREY = "#6b6b6b"
RC: Any = {  # matplotlib types the names of its settings, differently in each version
    "svg.fonttype": "none",  # text stays text: it can be searched, and the page is smaller
    "svg.hashsalt": "remission",  # the same records give the same bytes
    "text.parse_math": False,  # names come from users: a dollar sign is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "lines.markersize": 5.5,
}


@dataclass(frozen=True)
class Style:
    """How one purifier is drawn in every figure of the page."""

    colour: str
    marker: str
    dash: str = "-"
    width: float = 1.6


_DASHES = ("-", ":", "-.")
CONTROL_STYLE = Style("#000000", "", "--", 2.6)


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """Label -> style, all different: where colours come round again, lines are drawn otherwise."""
    colours, markers, dashes = len(_COLOURS), len(_MARKERS), len(_DASHES)
    return {
        label: Style(_COLOURS[i % colours], _MARKERS[i % markers], _DASHES[i // colours % dashes])
        for i, label in enumerate(dict.fromkeys(labels))
    }


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
            axes.axhline(victim, color=_GREY, linewidth=0.9, zorder=1)
            axes.annotate(
                "victim",
                (0, victim),
                xytext=(2, -3 if victim > 50 else 3),
                textcoords="offset points",
                va="top" if victim > 50 else "bottom",
                color=_GREY,
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


def path_figure(
    panels: Sequence[Panel],
    look: Mapping[str, Style],
    across: str = "t (0: backdoored, 1: purified)",
) -> str:
    """Backdoor error above, clean accuracy below; one column for each panel."""
    with mpl.rc_context(RC):
        width = (5.4, 8.8, 11.0)[min(len(panels), 3) - 1]
        figure = Figure(figsize=(width, 5.4), layout="constrained")
        grid = figure.subplots(
            2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1)
        )
        for column, panel in enumerate(panels):
            upper, lower = grid[0][column], grid[1][column]
            upper.set_title(panel.title, fontsize=10, loc="left")
            for line in panel.error:
                draw(upper, line, look, bars=False)
            for line in panel.clean_acc:
                draw(lower, line, look, bars=False, width=1.0)
            upper.set_ylim(-3, 103)
            lower.set_xlim(-0.02, 1.02)
            lower.set_xlabel(across)
        low, high = grid[1][0].get_ylim()
        if high - low < 10:  # points: a flat line shall look flat
            grid[1][0].set_ylim((low + high) / 2 - 5, (low + high) / 2 + 5)
        grid[0][0].set_ylabel("backdoor error\n1 − ASR (%)")
        grid[1][0].set_ylabel("C-Acc (%)")
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper left", ncols=min(5, len(names)), frameon=False
        )
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
            style = _style(before, look)
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


def _style(line: Series, look: Mapping[str, Style]) -> Style:
    return CONTROL_STYLE if line.control else look.get(line.label, Style(_GREY, "o"))


def draw(
    axes: Axes, line: Series, look: Mapping[str, Style], *, bars: bool, width: float | None = None
) -> None:
    """One line, with bars or a band for its intervals; no markers where ``width`` is given."""
    style = _style(line, look)
    order = 4 if line.control else 3
    axes.plot(
        line.x,
        line.y,
        style.dash,
        marker=style.marker if width is None else "",
        markevery=1 if bars else max(1, len(line.x) // 7),
        color=style.colour,
        linewidth=width or style.width,
        label=line.label,
        zorder=order,
    )
    if bars:
        axes.vlines(line.x, line.low, line.high, color=style.colour, linewidth=1, zorder=order)
    elif line.low != line.y:
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.15, linewidth=0)


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
        style = _style(line, look)
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


def svg_of(figure: Figure) -> str:
    """The figure as SVG text, the same bytes for the same figure."""
    out = io.StringIO()
    with warnings.catch_warnings():
        # A letter that the drawing font lacks only costs exact spacing: the browser has the font.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
