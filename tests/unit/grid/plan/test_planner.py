"""The plan, without any training: order, labels, and the stages that a change affects."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remission.errors import SpecError
from remission.grid.plan.cell_keys import cell_keys
from remission.grid.plan.planner import make_plan
from remission.grid.plan.select import select
from remission.grid.plan.stage import Stage
from remission.grid.spec.spec import parse_spec
from tests.unit.grid.small import FURTHER_PURIFIER, LABELS, SPEC

DIGEST = "0123456789abcdef"
Reached = Callable[[Stage], bool]


def tables() -> dict[str, Any]:
    """Returns the small spec, with a further purifier, as nested tables."""
    return tomllib.loads(SPEC + FURTHER_PURIFIER)


def plan_of(spec: dict[str, Any], digest: str = DIGEST) -> list[Stage]:
    return make_plan(parse_spec(spec), digest)


BASE = {stage.label: stage for stage in plan_of(tables())}


def everything(stage: Stage) -> bool:
    return True


def nothing(stage: Stage) -> bool:
    return False


def the_attack(stage: Stage) -> bool:
    return stage.kind != "control"


def the_inversion(stage: Stage) -> bool:
    return "/inversion" in stage.label or "/pam" in stage.label


def branch(name: str) -> Reached:
    return lambda stage: f"{stage.label}/".startswith(f"badnets/seed0/{name}/")


def kind(name: str) -> Reached:
    return lambda stage: stage.kind == name


counts = st.integers(1, 1000)
rates = st.floats(0.001, 0.999)
positive = st.floats(1e-6, 1e3)
augments = st.sampled_from(["none", "crop", "crop_flip"])
schedules = st.sampled_from(["constant", "cosine", "one_cycle"])

FIELDS: list[tuple[tuple[str | int, ...], st.SearchStrategy[Any], Reached]] = [
    (("name",), st.text("abc ", min_size=1, max_size=9), nothing),
    (("arch",), counts.map(lambda n: f"resnet18:{n}"), everything),
    (("precision",), st.sampled_from(["auto", "fp32", "bf16"]), everything),
    (("split", "defender"), st.one_of(counts, rates), everything),
    (("split", "attacker"), st.one_of(counts, rates), everything),
    (("split", "victim"), counts, everything),
    (("victim", "epochs"), counts, everything),
    (("victim", "lr"), positive, everything),
    (("victim", "momentum"), rates, everything),
    (("victim", "weight_decay"), positive, everything),
    (("victim", "schedule"), schedules, everything),
    (("victim", "batch_size"), st.integers(2, 500), everything),
    (("victim", "augment"), augments, everything),
    (("attack", 0, "poison_rate"), rates, the_attack),
    (("attack", 0, "target"), st.integers(0, 9), the_attack),
    (("attack", 0, "size"), counts, the_attack),
    (("attack", 0, "margin"), counts, the_attack),
    (("inversion", "filters"), counts, the_inversion),
    (("inversion", "levels"), st.integers(1, 6), the_inversion),
    (("inversion", "epochs"), counts, the_inversion),
    (("inversion", "lr"), positive, the_inversion),
    (("inversion", "image_bound"), positive, the_inversion),
    (("purifier", 0, "epochs"), counts, branch("ft")),
    (("purifier", 0, "lr"), positive, branch("ft")),
    (("purifier", 0, "augment"), augments, branch("ft")),
    (("purifier", 1, "rho"), positive, branch("pam")),
    (("purifier", 1, "share"), rates, branch("pam")),
    (("purifier", 1, "rounds"), counts, branch("pam")),
    (("purifier", 2, "share"), rates, branch("ep")),
    (("reactivation", 0, "epochs"), counts, kind("reactivated")),
    (("reactivation", 0, "lr"), positive, kind("reactivated")),
    (("reactivation", 0, "momentum"), rates, kind("reactivated")),
    (("path", "points"), st.integers(2, 99), kind("path")),
    (("path", "test"), st.integers(50, 1000), kind("path")),
    (("path", "batchnorm"), st.sampled_from([["interpolated"], ["recalibrated"]]), kind("path")),
]


def changed(spec: dict[str, Any], place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Returns a copy of a spec with another value at one place."""
    made = copy.deepcopy(spec)
    table: Any = made
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    return made


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), field=st.sampled_from(FIELDS))
def test_a_change_reaches_exactly_the_stages_that_depend_on_it(
    data: st.DataObject, field: tuple[tuple[str | int, ...], st.SearchStrategy[Any], Reached]
) -> None:
    place, values, reached = field
    after = plan_of(changed(tables(), place, data.draw(values)))
    ids = {stage.label: stage.id for stage in after}
    assert ids.keys() == BASE.keys()
    moved = {label for label, stage in BASE.items() if ids[label] != stage.id}
    same_as_before = {label: s.settings for label, s in BASE.items()} == {
        stage.label: stage.settings for stage in after
    }
    expected = {label for label, stage in BASE.items() if reached(stage)}
    assert moved == (set() if same_as_before else expected)


def test_changed_data_reaches_every_stage() -> None:
    other = {stage.label: stage.id for stage in plan_of(tables(), "fedcba9876543210")}
    assert all(other[label] != stage.id for label, stage in BASE.items())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("seeds",), [0, 1]),
        (("reactivation", 0, "budgets"), [0, 3, 7]),
        (("purifier", 3), {"method": "fst"}),
        (("attack", 1), {"method": "blended"}),
    ],
    ids=["seed", "budget", "purifier", "attack"],
)
def test_an_addition_keeps_every_identity(place: tuple[str | int, ...], value: object) -> None:
    spec = tables()
    spec["purifier"].append({})  # places to write to
    spec["attack"].append({})
    larger = changed(spec, place, value)
    larger["purifier"] = [table for table in larger["purifier"] if table]
    larger["attack"] = [table for table in larger["attack"] if table]
    ids = {stage.id for stage in plan_of(larger)}
    assert ids > {stage.id for stage in BASE.values()}


def test_a_stage_comes_after_everything_it_builds_upon() -> None:
    spec = {**tables(), "seeds": [0, 1, 2]}
    seen: set[str] = set()
    for stage in plan_of(spec):
        assert set(stage.parents.values()) <= seen
        seen.add(stage.id)


def test_labels_and_identities_are_unique() -> None:
    spec = tables()
    spec["seeds"] = [0, 1]
    spec["attack"].append({"method": "badnets", "size": 1, "poison_rate": 0.1})
    spec["purifier"] += [{"method": "ft", "lr": 0.1}, {"method": "pam", "rho": 0.9}]
    spec["reactivation"].append({"method": "retuning", "budgets": [3], "lr": 0.5})
    plan = plan_of(spec)
    assert len({stage.label for stage in plan}) == len(plan)
    assert len({stage.id for stage in plan}) == len(plan)


def test_what_is_asked_for_twice_stands_once() -> None:
    spec = tables()
    spec["seeds"] = [0, 0]
    spec["purifier"] += spec["purifier"]
    spec["reactivation"][0]["budgets"] = [0, 3, 3, 0]
    ids = [stage.id for stage in plan_of(spec)]
    assert sorted(ids) == sorted(stage.id for stage in BASE.values())


def test_the_control_is_trained_once_for_all_attacks() -> None:
    spec = tables()
    spec["attack"].append({"method": "blended"})
    assert [stage.kind for stage in plan_of(spec)].count("control") == 1


def test_every_purifier_and_the_control_meet_every_budget() -> None:
    for model in ("control", "ft", "pam", "ep"):
        for budget in (0, 3):
            stage = BASE[f"badnets/seed0/{model}/retuning-{budget}"]
            assert stage.settings["budget"] == budget
            assert stage.settings["purifier"]["method"] == model
            role = BASE["control/seed0" if model == "control" else f"badnets/seed0/{model}"]
            assert stage.parents["model"] == role.id


def test_a_purifier_that_knows_the_trigger_needs_no_inversion() -> None:
    spec = tables()
    spec["purifier"] = [{"method": "pam", "trigger": "true"}, {"method": "ep"}]
    assert "inversion" not in {stage.kind for stage in plan_of(spec)}


def test_purifiers_choose_among_several_inversions() -> None:
    spec = tables()
    spec["inversion"] = [spec["inversion"], {"method": "universal"}]
    pam = {"method": "pam", "rounds": 1}
    path = {"method": "pam_path", "inversion": "universal"}
    spec["purifier"] = [{"method": "ft"}, pam, {**pam, "inversion": "universal"}, path]
    plan = {stage.label: stage for stage in plan_of(spec)}
    used = {
        "pam (inversion=bti_dbf)": "bti_dbf",
        "pam (inversion=universal)": "universal",
        "pam_path": "universal",
    }
    for label, name in used.items():
        stage = plan[f"badnets/seed0/{label}"]
        assert stage.settings["inversion"]["method"] == name
        assert stage.parents["inversion"] == plan[f"badnets/seed0/inversion-{name}"].id
        shown = cell_keys(stage)["purifier_params"].get("inversion", "bti_dbf")
        assert shown == name, "rows of a table tell them apart"
        for child in (child for key, child in plan.items() if key.startswith(f"{stage.label}/")):
            assert cell_keys(child)["purifier_params"] == cell_keys(stage)["purifier_params"]
    assert "inversion" not in plan["badnets/seed0/ft"].settings
    assert len({stage.id for stage in plan.values()}) == len(plan)


@pytest.mark.parametrize(
    ("inversions", "name", "message"),
    [
        (["bti_dbf"], "universal", r"pam: the spec has no inversion 'universal'; .*bti_dbf"),
        (["bti_dbf", "bti_dbf"], "bti_dbf", "two of one method"),
        ([], "bti_dbf", "inversion"),
        (["bti_dbf"], 3, "the spec has no inversion 3"),
        (["bti_dbf"], ["bti_dbf"], r"the spec has no inversion \['bti_dbf'\]"),
        (["bti_dbf"], {"method": "bti_dbf"}, "the spec has no inversion {'method': 'bti_dbf'}"),
    ],
)
def test_an_inversion_that_the_spec_does_not_have(
    inversions: list[str], name: object, message: str
) -> None:
    spec = tables()
    spec["inversion"] = [{"method": each} for each in inversions]
    spec["purifier"] = [{"method": "pam", "inversion": name}]
    with pytest.raises(SpecError, match=message):
        parse_spec(spec)


def test_only_selects_what_matches_its_ancestors_and_the_control_beside_it() -> None:
    plan = plan_of(tomllib.loads(SPEC))
    assert sorted(stage.label for stage in plan) == LABELS
    chosen = {stage.label for stage in select(plan, "*/pam/path")}
    assert chosen == {
        "control/seed0",
        "badnets/seed0/victim",
        "badnets/seed0/inversion",
        "badnets/seed0/control",
        "badnets/seed0/pam",
        "badnets/seed0/pam/path",
    }
    assert select(plan, "*") == plan
    assert select(plan, None) == plan
    victim = [stage.label for stage in select(plan, "*/victim")]
    assert victim == ["badnets/seed0/victim"]  # nothing that would be compared


def test_only_brings_the_controls_retuning_of_the_same_attack_and_budget() -> None:
    spec = tables()
    spec["seeds"] = [0, 1]
    spec["reactivation"] = [{"method": "retuning", "budgets": [5, 20]}]
    found = [s.label for s in select(plan_of(spec), "*/seed1/pam/retuning-20")]
    reactivated = [label for label in found if "retuning" in label]
    assert sorted(reactivated) == [
        "badnets/seed1/control/retuning-20",
        "badnets/seed1/pam/retuning-20",
    ]
    assert "badnets/seed1/control" in found


def test_only_takes_a_label_as_it_is_printed() -> None:
    spec = tables()
    spec["reactivation"] = [
        {"method": "oba", "mode": "transfer", "surrogates": [name]} for name in ("ep", "ft_sam")
    ]
    plan = plan_of(spec)
    label = next(s.label for s in plan if "ft/oba" in s.label and "ft_sam" in s.label)
    assert "[" in label
    assert label in [s.label for s in select(plan, label)]
    glob = label.replace("badnets/seed0", "*")
    assert label in [s.label for s in select(plan, glob)], "a bracket stands for itself"


def test_only_that_matches_nothing_says_what_labels_look_like() -> None:
    with pytest.raises(SpecError, match=r"'ep' matches none of 14 stages; .*'badnets/seed0/"):
        select(plan_of(tomllib.loads(SPEC)), "ep")
