"""Purifiers at equal cost: the lowest relapse among the settings that lose at most so much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.measures.frontier import COSTS, Frontier, frontiers
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, records

CONTROL = {1: 0.0, 10: 0.2, 100: 0.4}
"""Its area over the logarithm of the budget is 0.2, so that of an ASR of 1 is 0.8 above it."""
AT = dict(zip(COSTS, range(len(COSTS)), strict=True))


def model(
    purifier: str,
    accuracy: float,
    asr: float,
    curve: dict[int, float],
    **more: Any,  # noqa: ANN401  # any field
) -> list[Cell]:
    common: dict[str, Any] = {"purifier": purifier, "clean_acc": accuracy, **more}
    return [
        cell(asr=asr, **common),
        *(cell(asr=p, reactivation="retuning", budget=n, **common) for n, p in curve.items()),
    ]


def references(**more: Any) -> list[Cell]:  # noqa: ANN401  # any field
    return [
        cell(asr=0.99, clean_acc=0.92, **more),
        *model("control", 0.92, 0.01, CONTROL, **more),
    ]


def setting(
    lr: float,
    loss: float,
    level: float,
    purifier: str = "ft",
    **more: Any,  # noqa: ANN401  # any field
) -> list[Cell]:
    """Returns a model whose P-ASR lies ``level`` above the control's at each budget."""
    curve = {budget: rate + level for budget, rate in CONTROL.items()}
    return model(purifier, 0.92 - loss, 0.02, curve, purifier_params={"lr": lr}, **more)


def of(*cells: Cell) -> dict[str, Frontier]:
    return {frontier.label: frontier for frontier in frontiers(summarise(records(*cells)))}


def test_by_hand() -> None:
    cells = [
        *references(),
        *setting(0.1, 0.004, 0.5),
        *setting(0.2, 0.015, 0.1),
        *setting(0.3, 0.018, 0.3),
        *setting(0.4, 0.04, 0.0),
    ]
    (frontier,) = of(*cells).values()
    assert [at.mean for at in frontier.at] == pytest.approx([0.5, 0.5, 0.1, 0.1])
    assert [at.affordable for at in frontier.at] == [1, 1, 1, 1]
    assert [at.half_width for at in frontier.at] == [None] * 4
    assert [point.loss for point in frontier.points] == pytest.approx([0.004, 0.015, 0.018, 0.04])
    assert [point.relapse for point in frontier.points] == pytest.approx([0.5, 0.1, 0.3, 0.0])


def test_a_loss_that_equals_the_cost_is_within_it() -> None:
    (frontier,) = of(*references(), *setting(0.1, 0.02, 0.1)).values()
    assert frontier.at[AT[0.02]].mean == pytest.approx(0.1)


def test_where_no_setting_is_within_the_cost_the_victim_stays() -> None:
    (frontier,) = of(*references(), *setting(0.1, 0.025, 0.1)).values()
    assert [at.mean for at in frontier.at] == pytest.approx([0.8, 0.8, 0.8, 0.1])
    assert [at.affordable for at in frontier.at] == [0, 0, 0, 1]


def test_a_setting_that_broke_the_model_is_never_within_the_cost() -> None:
    cells = [
        *references(),
        *references(seed=1),
        *setting(0.1, 0.01, 0.1),
        *setting(0.1, 0.3, 0.0, seed=1),
    ]
    (frontier,) = of(*cells).values()
    assert sorted(frontier.at[AT[0.03]].relapses.values()) == pytest.approx([0.1, 0.8])


def test_each_cell_has_its_own_best_setting() -> None:
    cells = [
        *references(),
        *references(attack="wanet"),
        *setting(0.1, 0.005, 0.1),
        *setting(0.1, 0.005, 0.6, attack="wanet"),
        *setting(0.2, 0.025, 0.05),
        *setting(0.2, 0.008, 0.2, attack="wanet"),
    ]
    (frontier,) = of(*cells).values()
    at = frontier.at[AT[0.01]]
    assert sorted(at.relapses.values()) == pytest.approx([0.1, 0.2])
    assert at.mean == pytest.approx(0.15)
    # Student's t with one degree of freedom: 12.706 * 0.05
    assert at.half_width == pytest.approx(12.7062 * 0.05, rel=1e-4)


def test_the_difference_of_two_purifiers_is_over_the_cells_of_both() -> None:
    cells = [
        *references(),
        *references(seed=1),
        *references(seed=2),
        *setting(0.1, 0.005, 0.3),
        *setting(0.1, 0.005, 0.5, seed=1),
        *setting(0.1, 0.005, 0.1, seed=2),
        *setting(0.1, 0.005, 0.2, purifier="ep"),
        *setting(0.1, 0.005, 0.2, purifier="ep", seed=1),
    ]
    found = of(*cells)
    mean, half, number = found["ft"].at[0].less(found["ep"].at[0])
    assert mean == pytest.approx(0.2)
    assert number == 2
    assert half == pytest.approx(12.7062 * 0.1, rel=1e-4)


def test_one_budget_makes_no_frontier() -> None:
    cells = [
        cell(asr=0.99),
        *model("control", 0.92, 0.01, {5: 0.1}),
        *model("ft", 0.91, 0.02, {5: 0.5}),
    ]
    assert of(*cells) == {}


def test_the_view() -> None:
    rows = records(
        *references(),
        *setting(0.1, 0.004, 0.5),
        *setting(0.2, 0.015, 0.1),
        *setting(0.1, 0.002, 0.3, purifier="ep"),
    )
    objects = json.loads(render(rows, "frontier", "json"))
    assert [each["label"] for each in objects] == ["ep", "ft"], "by the relapse at one point"
    ft = objects[1]
    assert [at["relapse_gap"] for at in ft["at_cost"]] == pytest.approx([0.5, 0.5, 0.1, 0.1])
    assert ft["at_cost"][0]["cells"] == [
        {"attack": "badnets", "seed": 0, "relapse_gap": pytest.approx(0.5)}
    ]
    assert [point["purifier_params"] for point in ft["points"]] == [{"lr": 0.1}, {"lr": 0.2}]
    text = render(rows, "frontier", "text")
    assert "+50.0" in text
    assert "1 of 1" in text
