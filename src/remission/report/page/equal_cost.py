"""The part of the page that compares purifiers at equal loss of clean accuracy."""

from __future__ import annotations

from typing import Any

from remission.report.figures.drawing import Drawing
from remission.report.figures.frontier import frontier_figure
from remission.report.figures.style import styles
from remission.report.groups.results import Results
from remission.report.measures.frontier import Frontier
from remission.report.page import captions
from remission.report.tables.frontier import frontier_lines, frontier_table


def equal_cost(results: Results) -> list[dict[str, Any]]:
    """Returns the table and a drawing, where some purifier was measured with several settings.

    There is one part per data set, model, setting and reactivation.
    """
    parts: list[dict[str, Any]] = []
    for groups, setting in zip(results.overviews, results.overview_settings, strict=True):
        lines_of: dict[str, list[Frontier]] = {}
        everything = frontier_lines(groups)
        for line in everything:
            lines_of.setdefault(line.column.label, []).append(line)
        table = frontier_table(groups, everything, setting)
        for label, lines in lines_of.items():
            if any(len(line.points) > 1 for line in lines):
                look = styles(line.label for line in lines)
                title = table.title if len(lines_of) == 1 else f"{table.title} · {label}"
                drawing = Drawing(
                    svg=frontier_figure(lines, look), title=title, caption=captions.FRONTIER
                )
                parts.append({"table": table, "drawings": [drawing], "kind": ""})
    return parts
