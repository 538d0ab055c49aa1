"""The page compares purifiers at equal cost where one of them has several settings."""

from __future__ import annotations

import re
from pathlib import Path

from remission.records import Cell
from remission.report.groups.results import Results
from remission.report.page.equal_cost import equal_cost
from tests.unit.report.measures.test_frontier import references, setting
from tests.unit.report.report_factory import grid, records


def parts(*cells: Cell) -> list[str]:
    """Returns the drawing of each part."""
    made = equal_cost(Results(records(*cells)))
    return [drawing.svg for part in made for drawing in part["drawings"]]


def test_one_setting_per_purifier_is_not_drawn() -> None:
    one = [*references(), *setting(0.1, 0.01, 0.5), *setting(0.1, 0.01, 0.2, purifier="ep")]
    assert parts(*one) == []
    (svg,) = parts(*one, *setting(0.2, 0.03, 0.1))
    assert "clean accuracy lost (points)" in svg
    assert re.findall(r">(ft|ep)<", svg) == ["ep", "ft"]


def test_intervals_are_drawn_where_there_are_several_cells() -> None:
    def cells(seed: int) -> list[Cell]:
        return [
            *references(seed=seed),
            *setting(0.1, 0.01 + 0.001 * seed, 0.5 + 0.01 * seed, seed=seed),
            *setting(0.2, 0.03 + 0.001 * seed, 0.1 + 0.01 * seed, seed=seed),
        ]

    (alone,) = parts(*cells(0))
    (several,) = parts(*cells(0), *cells(1))
    bars = 'opacity="0.45"'
    assert alone.count(bars) == 0
    assert several.count(bars) == 4


def test_the_table_stands_below(tmp_path: Path) -> None:
    (part,) = equal_cost(Results(grid(tmp_path)))
    assert part["table"].header[0] == "purifier"
    assert part["drawings"][0].title == part["table"].title
