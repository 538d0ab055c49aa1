"""Draws the picture of docs/concepts.md that no report has: what purification seems to achieve."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from remission.records import read_records
from remission.report.groups.results import summarise

_BLUE, _ORANGE = "#0072b2", "#d55e00"  # told apart by every kind of colour vision


def write_concepts(root: Path) -> None:
    """Writes ``docs/concepts/purification.svg`` from the records of the quickstart.

    Args:
        root: the root folder of the repository.
    """
    (group,) = summarise(read_records(root / "results" / "quickstart"))
    rows = [row for row in group.rows if row.purifier.name != "control"]
    bars = {
        "C-Acc": ([100 * (row.number("clean_acc").mean or 0) for row in rows], _BLUE),
        "O-ASR": ([100 * (row.number("asr").mean or 0) for row in rows], _ORANGE),
    }
    with mpl.rc_context({"svg.hashsalt": "remission", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
        for side, (name, (rates, colour)) in zip((-0.2, 0.2), bars.items(), strict=True):
            places = [number + side for number in range(len(rows))]
            drawn = axes.bar(places, rates, width=0.38, color=colour, label=name)
            axes.bar_label(drawn, fmt="%.0f", padding=1, fontsize=8)
        axes.set(ylabel="percent", ylim=(0, 115), xticks=range(len(rows)))
        axes.set_xticklabels([row.label for row in rows])
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(ncols=2, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97))
        folder = root / "docs" / "concepts"
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / "purification.svg", metadata={"Date": None})
        plt.close(figure)
