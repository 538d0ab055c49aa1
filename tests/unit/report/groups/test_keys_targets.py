"""Groups whose target differs by seed are one; those that share a seed are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, records


def model(target: int, seed: int, **more: Any) -> Cell:  # noqa: ANN401  # any field
    return cell(target=target, target_name=f"class {target}", seed=seed, **more)


def all_of(target: int, seed: int, asr: float, **more: Any) -> list[Cell]:  # noqa: ANN401
    return [
        model(target, seed, asr=0.99, **more),
        model(target, seed, purifier="control", asr=0.01, **more),
        model(target, seed, purifier="ft", asr=asr, **more),
    ]


BY_SEED = records(*all_of(0, 0, 0.1), *all_of(3, 1, 0.2), *all_of(7, 2, 0.6))


def test_one_row_has_all_seeds() -> None:
    (group,) = summarise(BY_SEED)
    assert group.key.target == "by seed"
    assert group.target_name is None
    assert group.seeds == 3
    assert "target by seed" in group.title
    (row,) = group.purified
    assert [c.target for c in row.at(None)] == [0, 3, 7]
    lines = [line for line in render(BY_SEED, "summary", "text").splitlines() if line[:2] == "ft"]
    assert "30.0" in lines[0], "the mean over the seeds"


def test_programs_see_each_cell_with_its_own_target() -> None:
    cells = json.loads(render(BY_SEED, "cells", "json"))
    assert {(c["seed"], c["target"]) for c in cells} == {(0, 0), (1, 3), (2, 7)}
    assert {entry["target"] for entry in json.loads(render(BY_SEED, "summary", "json"))} == {
        "by seed"
    }


@pytest.mark.parametrize(
    "others",
    [
        all_of(3, 0, 0.2),  # the same seed
        all_of(3, 1, 0.2, attack="blended"),
        all_of(3, 1, 0.2, poison_rate=0.1),
        all_of(3, 1, 0.2, arch="resnet18:8"),
        all_of(3, 1, 0.2, attack_params={"size": 4}),
    ],
)
def test_groups_that_differ_otherwise_or_share_a_seed_stay_apart(others: list[Cell]) -> None:
    groups = summarise(records(*all_of(0, 0, 0.1), *others))
    assert sorted(str(group.key.target) for group in groups) == ["0", "3"]
