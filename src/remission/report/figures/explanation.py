"""The relapse gap against what was measured before the reactivation."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from remission.report.figures.style import RC, Style, legend, svg_of
from remission.report.measures.explanation import Explanation

EXPLAINED = (
    "The relapse gap of every purified model of each seed against each predictor; hollow where the "
    "O-ASR lies more than 10 points above the control's."
)
"""What :func:`explanation_figure` shows."""


def explanation_figure(found: Explanation, colours: Mapping[str, Style]) -> str:
    """Relapse gap against each predictor, a panel each; hollow where nothing was purified."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(10.4, 6.4), layout="constrained")
        grid = figure.subplots(2, 3, sharey=True)
        panels = list(grid.flat)
        for axes, predictor in zip(panels, found.predictors, strict=False):
            for attack, style in colours.items():
                points = [
                    (case.values[predictor.key], case.gap, case.purified)
                    for case in found.cases
                    if case.attack == attack and case.values[predictor.key] is not None
                ]
                for purified in (True, False):
                    some = [(x, y) for x, y, pure in points if pure == purified]
                    axes.plot(
                        [x for x, _ in some],
                        [y for _, y in some],
                        style.marker,
                        linestyle="none",
                        color=style.colour,
                        markerfacecolor=style.colour if purified else "white",
                        label=attack if purified else None,
                        alpha=0.8,
                    )
            axes.axhline(0, color="#6b6b6b", linewidth=0.8, zorder=1)
            axes.set_xlabel(predictor.title)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4))  # long labels would touch
        for axes in panels[len(found.predictors) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel("relapse gap")
        legend(figure)
        return svg_of(figure)
