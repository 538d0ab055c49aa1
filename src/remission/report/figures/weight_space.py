"""Figures of weight space: paths, losses, layers, planes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from remission.records import Plane
from remission.report.figures.lines import Panel, Series
from remission.report.figures.style import RC, Style, draw, legend, svg_of

_NORMALISES = re.compile(r"(^|\.)(bn|norm)[^.]*$|(shortcut|downsample)\.1$")
_MARKS = {"victim": ("X", "victim"), "purified": ("o", "purified"), "retuned": ("^", "retuned")}


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


def loss_figure(panel: Panel, look: Mapping[str, Style]) -> str:
    """Backdoor loss beside clean loss along the line."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.8, 3.6), layout="constrained")
        for axes, lines, name in zip(
            figure.subplots(1, 2),
            (panel.error, panel.clean_acc),
            ("backdoor loss (triggered images, target)", "clean loss"),
            strict=True,
        ):
            for line in lines:
                draw(axes, line, look, bars=False)
            axes.set_title(name, fontsize=10, loc="left")
            axes.set_ylim(0, 1.06 * max((y for line in lines for y in line.y), default=1) or 1)
            axes.set_xlim(-0.02, 1.02)
            axes.set_xlabel("t (0: backdoored, 1: purified)")
        figure.axes[0].set_ylabel("cross entropy (nats)")
        legend(figure)
        return svg_of(figure)


def layer_figure(lines: Sequence[Series], layers: Sequence[str], look: Mapping[str, Style]) -> str:
    """Relative distance of each layer, first to last, on a logarithmic axis.

    Layers that normalise, by their names, have a panel of their own: their few weights move by
    less than those between which they lie, and one line through both would go up and down.
    """
    numbers = range(len(layers))
    apart = [k for k in numbers if normalises(layers[k])]
    parts = [[k for k in numbers if k not in apart], apart]
    parts = [part for part in parts if part]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.8, 3.4 * len(parts) + 0.6), layout="constrained")
        for axes, part in zip(figure.subplots(len(parts), squeeze=False).flat, parts, strict=True):
            for line in lines:
                y = [line.y[k] for k in part]
                x = [float(place) for place in range(len(part))]
                draw(axes, replace(line, x=x, y=y, low=y, high=y), look, bars=False)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
            step = math.ceil(len(part) / 40)
            shown = [layers[k] for k in part[::step]]
            axes.set_xticks(range(0, len(part), step), shown, rotation=90, fontsize=7.5)
            axes.set_ylabel("distance (% of the norm)")
        legend(figure)
        return svg_of(figure)


def normalises(layer: str) -> bool:
    """Whether a layer is one of normalisation, by its name; those of vgg19_bn do not tell."""
    return _NORMALISES.search(layer) is not None


def plane_figure(plane: Plane) -> str:
    """Contours of clean loss and of backdoor loss side by side, the three models marked."""
    with mpl.rc_context(RC | {"axes.grid": False}):
        figure = Figure(figsize=(8.8, 3.9), layout="constrained")
        pair = figure.subplots(1, 2, sharey=True)
        for axes, values, name, colours in (
            (pair[0], plane.clean_loss, "clean loss", "viridis"),
            (pair[1], plane.backdoor_loss, "backdoor loss", "magma"),
        ):
            told = _contours(figure, axes, plane, values, colours)
            axes.set_title(name + told, fontsize=10, loc="left")
            axes.set_xlabel("distance from the victim towards the purified model")
        pair[0].set_ylabel("distance at right angles,\ntowards the retuned model")
        return svg_of(figure)


def _contours(
    figure: Figure, axes: Axes, plane: Plane, values: Sequence[Sequence[float]], colours: str
) -> str:
    """Draws one panel; what its title says where there is nothing to draw a line between."""
    floor = 1e-3  # smaller losses look alike
    logs = [[math.log10(max(floor, value)) for value in row] for row in values]
    low, high = (pick(pick(row) for row in logs) for pick in (min, max))
    told, even = "", high - low < 0.1
    if even:
        size = f"{10**low:.2g}"
        told = f": at most {size} everywhere" if 10**low <= floor else f": {size} everywhere"
        high = low + 0.1
    levels = [low + k * (high - low) / 12 for k in range(13)]
    drawn = axes.contourf(plane.x, plane.y, logs, levels=levels, cmap=colours)
    axes.contour(
        plane.x, plane.y, logs, levels=levels, colors="white", linewidths=0.3, linestyles="solid"
    )
    if not even:  # else every mark of the scale would read alike
        bar = figure.colorbar(drawn, ax=axes, format=lambda x, _: f"{10**x:.2g}", shrink=0.9)
        bar.outline.set_visible(False)
    for name, (x, y) in plane.models.items():
        marker, text = _MARKS[name]
        axes.plot([x], [y], marker, color="white", markeredgecolor="black", markersize=8)
        axes.annotate(
            text,
            (x, y),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
        )
    return told
