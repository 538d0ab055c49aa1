"""Targets by the names of their classes."""

from __future__ import annotations

import tomllib

import pytest

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.spec.spec import parse_spec
from remission.grid.spec.targets import numbered


@pytest.mark.parametrize(("target", "number"), [("0", 0), ("2", 2), ("02", 2)])
def test_a_number_in_quotes_is_a_name_and_the_remedy_says_so(target: str, number: int) -> None:
    attack = {"method": "badnets", "target": target}
    with pytest.raises(SpecError, match=f"has no class '{target}'") as caught:
        numbered([attack], ["ant", "bee", "cow"], "base")
    name = ["ant", "bee", "cow"][number]
    assert caught.value.remedy == f"for class number {number}, '{name}', write {number} unquoted"
    assert numbered([attack], [target, "ant", "bee"], "base")[0]["target"] == 0
    with pytest.raises(SpecError, match="use one that exists"):
        numbered([{**attack, "target": "3"}], ["ant", "bee", "cow"], "base")


SPEC = """
name = "by seed"
dataset = "digits"
seeds = [4, 5, 6]
[[attack]]
method = "badnets"
target = {targets}
[[attack]]
method = "blended"
"""


@pytest.mark.parametrize(
    ("targets", "wanted"),
    [
        ("[0, 3, 7]", {4: 0, 5: 3, 6: 7}),
        ("[3, 0, 3]", {4: 3, 5: 0, 6: 3}),
        ('[1, "all-to-all", 2]', {4: 1, 5: "all-to-all", 6: 2}),
        ("2", {4: 2, 5: 2, 6: 2}),
    ],
)
def test_an_attack_has_one_target_per_seed(targets: str, wanted: dict[int, int | str]) -> None:
    plan = make_plan(parse_spec(tomllib.loads(SPEC.format(targets=targets))), "0123456789abcdef")
    victims = [stage for stage in plan if stage.kind == "victim"]
    found = {
        stage.context.seed: stage.table("attack")["target"]
        for stage in victims
        if stage.method("attack") == "badnets"
    }
    assert found == wanted
    assert len(victims) == 6
    for stage in victims:  # as if its table had that target alone
        alone = SPEC.format(targets=repr(stage.table("attack")["target"]))
        others = make_plan(parse_spec(tomllib.loads(alone)), "0123456789abcdef")
        assert stage.id in {other.id for other in others}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("target = [0, 3]", r"'target' is \[0, 3\]"),
        ("target = []", r"'target' is \[\]"),
        ("target = [0, 3, 7]\nseeds = [4]", r"'target' is \[0, 3, 7\]"),
        ("target = [0]\nseeds = 4", r"'target' is \[0\]"),
        ("target = [0]\nseeds = [7]", r"'seeds' is \[7\]"),
        ("target = [0, 3, -1]", "target"),
        ("target = [0, [3], 7]", r"'target' lists \[3\]"),
        ("target = [0, { a = 1 }, 7]", r"'target' lists {'a': 1}"),
        ("target = [0, 0.5, 7]", r"'target' lists 0.5"),
        ("seeds = [7]", r"'seeds' is \[7\]"),
        ("seeds = []", r"'seeds' is \[\]"),
        ('seeds = "4"', "'seeds' is '4'"),
    ],
)
def test_a_list_of_targets_or_seeds_that_does_not_fit_is_refused(line: str, problem: str) -> None:
    text = SPEC.replace("target = {targets}", line)
    with pytest.raises(SpecError, match=problem):
        parse_spec(tomllib.loads(text))


def test_an_attack_may_be_computed_for_some_seeds_alone() -> None:
    for line, wanted in (
        ("seeds = [5]", [(5, 0)]),
        ("seeds = [6, 4]\ntarget = [1, 2]", [(4, 2), (6, 1)]),
    ):
        text = SPEC.replace("target = {targets}", line)
        plan = make_plan(parse_spec(tomllib.loads(text)), "0123456789abcdef")
        victims = [s for s in plan if s.kind == "victim" and s.method("attack") == "badnets"]
        assert [(s.context.seed, s.table("attack")["target"]) for s in victims] == wanted
