"""Every purifier against every other at equal cost, in the cells of both."""

from __future__ import annotations

import json

import pytest

from remission.report.measures.frontier import COSTS
from remission.report.tables.render import render
from tests.unit.report.measures.test_frontier import references, setting
from tests.unit.report.report_factory import records

CELLS = records(
    *references(),
    *references(seed=1),
    *references(seed=2),
    *setting(0.1, 0.005, 0.3),
    *setting(0.1, 0.005, 0.5, seed=1),
    *setting(0.1, 0.005, 0.1, seed=2),
    *setting(0.1, 0.005, 0.2, purifier="ep"),
    *setting(0.1, 0.005, 0.2, purifier="ep", seed=1),
)
T = 12.7062  # Student's t of one degree of freedom, of 95 %


def test_programs_see_every_ordered_pair_at_every_cost() -> None:
    objects = json.loads(render(CELLS, "differences", "json"))
    assert [(o["clean_acc_lost"], o["label"], o["other_label"]) for o in objects] == [
        (cost, first, second) for cost in COSTS for first, second in (("ep", "ft"), ("ft", "ep"))
    ]
    for entry in objects:
        sign = 1 if entry["label"] == "ft" else -1
        assert entry["difference"] == pytest.approx(sign * 0.2)
        assert entry["difference_half_width"] == pytest.approx(T * 0.1, rel=1e-4)
        assert entry["cells"] == 2


def test_people_see_a_matrix_per_cost() -> None:
    text = render(CELLS, "differences", "text")
    for cost in ("0.5 points", "1 point", "2 points", "3 points"):
        assert f"retuning: paired differences at {cost}\n" in text
    first = text.split("paired differences at 1 point\n")[0]
    rows = {line.split()[0]: line for line in first.splitlines() if line[:2] in ("ep", "ft")}
    assert rows["ep"].split("  ")[-1].strip() == "-20.0 ± >100"
    assert rows["ft"].split()[1:] == ["+20.0", "±", ">100", "(2)"], "ft has a cell more"


def test_a_difference_that_is_rounded_to_zero_has_no_sign_of_its_own() -> None:
    cells = records(
        *references(),
        *setting(0.1, 0.005, 0.3),
        *setting(0.1, 0.005, 0.3001, purifier="ep"),
    )
    assert "-0.0" not in render(cells, "differences", "text")


def test_one_purifier_has_no_difference() -> None:
    cells = records(*references(), *setting(0.1, 0.005, 0.3), *setting(0.2, 0.009, 0.1))
    assert json.loads(render(cells, "differences", "json")) == []
