"""What all figures share: colours, lines, and how a figure becomes SVG text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from remission.report.figures.lines import Series

# Okabe and Ito's palette, less yellow (too faint on white) and black (the control's).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
GREY = "#6b6b6b"
RC: Any = {  # matplotlib types the names of its settings, differently in each version
    "svg.fonttype": "none",  # text stays text: it can be searched, and the page is smaller
    "svg.hashsalt": "remission",  # the same records give the same bytes
    "text.parse_math": False,  # names come from users: a dollar sign is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
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


def style_of(line: Series, look: Mapping[str, Style]) -> Style:
    """The style of a line; the control has its own."""
    return CONTROL_STYLE if line.control else look.get(line.label, Style(GREY, "o"))


def draw(
    axes: Axes, line: Series, look: Mapping[str, Style], *, bars: bool, width: float | None = None
) -> None:
    """One line, with bars or a band for its intervals; no markers where ``width`` is given."""
    style = style_of(line, look)
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


def legend(figure: Figure) -> None:
    """The names of the lines of the first axes, above the figure."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper left", ncols=min(5, max(1, len(names))), frameon=False
    )


def svg_of(figure: Figure) -> str:
    """The figure as SVG text, the same bytes for the same figure."""
    out = io.StringIO()
    with warnings.catch_warnings():
        # A letter that the drawing font lacks only costs exact spacing: the browser has the font.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
