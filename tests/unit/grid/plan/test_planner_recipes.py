"""Every recipe is a spec that can be planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.data import CATALOGUE
from remission.grid.plan.planner import make_plan
from remission.grid.spec.spec import read_spec

RECIPES = Path(__file__).parents[4] / "recipes"
FILES = sorted(RECIPES.rglob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_a_plan(file: Path) -> None:
    spec = read_spec(file)
    assert spec.name == file.stem
    assert spec.dataset in CATALOGUE
    plan = make_plan(spec, "digest")
    assert len({stage.label for stage in plan}) == len(plan)
    victims = [stage for stage in plan if stage.kind == "victim"]
    assert len(victims) == sum(len(planned.seeds) for planned in spec.methods.attacks)


def test_the_strongest_retuning_has_about_forty_entries() -> None:
    plan = make_plan(read_spec(RECIPES / "strongest-retuning.toml"), "digest")
    lists = [s.settings["ensemble"]["entries"] for s in plan if s.kind == "ensemble"]
    assert len(lists) == 6, "two purifiers and the control, under two attacks"
    assert lists == [lists[0]] * 6
    assert 38 <= len(lists[0]) <= 44
    budgets = [entry["budget"] for entry in lists[0]]
    assert set(budgets) == {0, 5, 20, 100}
    assert budgets.count(0) == 1
    rates = {entry["lr"] for entry in lists[0] if entry["optimizer"] == "sgd"}
    assert (min(rates), max(rates)) == (0.003, 0.1)
    assert {entry["layers"] for entry in lists[0]} == {"all", "head", "norms"}
    assert {entry["epochs"] for entry in lists[0]} >= {1, 5, 20, 40}


def test_the_papers_experiments_have_theirs() -> None:
    specs = [read_spec(file) for file in FILES if file.parent.name == "paper"]
    assert {spec.dataset for spec in specs} == {"cifar10", "cifar100", "tiny-imagenet"}
    assert {"resnet18", "resnet50", "densenet161", "swin_t"} <= {spec.arch for spec in specs}
    attacks = [planned.attack for spec in specs for planned in spec.methods.attacks]
    names = {attack.name for attack in attacks}
    assert names == {"badnets", "blended", "ssba", "label_consistent"}
    rates = {attack.poison_rate for attack in attacks if attack.name == "badnets"}
    assert rates == {0.1, 0.05, 0.01}
