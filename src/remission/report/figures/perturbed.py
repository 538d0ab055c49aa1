"""The transfer matrix: perturbations made for one model, tried on all."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from remission.report.figures.style import RC, svg_of
from remission.report.measures.transfer import Matrix

_COLOURS = LinearSegmentedColormap.from_list("asr", ["#ffffff", "#f3c4a0", "#D55E00"])


def transfer_figure(matrix: Matrix) -> str:
    """Rows: made for; columns: tried on; numbers in percent, darker where higher."""
    count = len(matrix.labels)
    side = 0.62 * count
    with mpl.rc_context(RC | {"axes.grid": False}):
        figure = Figure(figsize=(side + 2.6, 0.62 * side + 1.9), layout="constrained")
        axes = figure.add_subplot()
        # drawn as shapes: imshow would put a bitmap into the page
        axes.pcolormesh(
            [[100 * value for value in row] for row in matrix.asr],
            cmap=_COLOURS,
            vmin=0,
            vmax=100,
            edgecolors="#ebe8e4",
            linewidth=0.8,
        )
        for i, row in enumerate(matrix.asr):
            for j, value in enumerate(row):
                axes.text(
                    j + 0.5,
                    i + 0.5,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    fontweight="bold" if i == j else "normal",
                    color="white" if value > 0.7 else "#1b1b1b",
                )
        places = [i + 0.5 for i in range(count)]
        axes.set_xticks(places, matrix.labels, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(places, matrix.labels)
        axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_ylim(count, 0)
        axes.set_xlabel("tried on")
        axes.set_ylabel("made for")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return svg_of(figure)
