"""The part of the page on the worst of many retunings."""

from __future__ import annotations

from typing import Any

from remission.report.figures.drawing import Drawing
from remission.report.figures.ensemble import ensemble_figure
from remission.report.groups.results import Results
from remission.report.measures.retuning_map import retuning_map
from remission.report.page import captions
from remission.report.tables.worst import WorstLine, worst_lines, worst_table


def worst_parts(results: Results) -> list[dict[str, Any]]:
    """Returns a table per data set, model and setting, with a heat map per attack."""
    parts: list[dict[str, Any]] = []
    for lines, setting in zip(worst_lines(results), results.overview_settings, strict=True):
        if not lines:
            continue
        table = worst_table(lines, setting)
        by_attack: dict[str, list[WorstLine]] = {}
        for line in lines:
            by_attack.setdefault(line.attack, []).append(line)
        drawings = [
            Drawing(
                svg=ensemble_figure(retuning_map([line.worst for line in own], own[0].names)),
                title=f"{table.title} · {attack}",
                caption=f"{attack}: {captions.ENSEMBLE}",
            )
            for attack, own in by_attack.items()
        ]
        parts.append({"table": table, "drawings": drawings, "kind": "overview"})
    return parts
