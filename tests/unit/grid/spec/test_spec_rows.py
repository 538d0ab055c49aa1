"""Keys of a purifier's table for its seeds and its inversion; the versions of methods."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec
from remission.inversion import BTIDBF
from remission.method import Method
from remission.purifiers import PAM
from remission.reactivations import Retuning
from tests.unit.grid.small import FURTHER_PURIFIER, SPEC


def tables() -> dict[str, Any]:
    """Returns the small spec, with a further purifier, as nested tables."""
    return tomllib.loads(SPEC + FURTHER_PURIFIER)


def plan() -> dict[str, Stage]:
    """Returns the stages of a spec, by their labels."""
    return {stage.label: stage for stage in make_plan(parse_spec(tables()), "0123456789abcdef")}


@pytest.mark.parametrize("purifier", [{"method": "ft"}, {"method": "pam", "trigger": "true"}])
def test_an_inversion_for_a_purifier_that_inverts_nothing(purifier: dict[str, Any]) -> None:
    spec = tables()
    spec["purifier"] = [{**purifier, "inversion": "bti_dbf"}]
    with pytest.raises(SpecError, match=f"{purifier['method']}: 'inversion' is 'bti_dbf', and it"):
        parse_spec(spec)


@pytest.mark.parametrize("seeds", [[True], [0.0], [False], "0", []])
def test_seeds_of_a_purifier_that_are_no_list_of_the_specs(seeds: object) -> None:
    spec = tables()
    spec["seeds"] = [0, 1]
    spec["purifier"] = [{"method": "ft", "seeds": seeds}]
    with pytest.raises(SpecError, match=r"ft: 'seeds' is .*list some of the spec's"):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("method", "own", "follow"),
    [
        (PAM, ["badnets/seed0/pam"], ["badnets/seed0/pam/path"]),
        (BTIDBF, ["badnets/seed0/inversion"], ["badnets/seed0/pam", "badnets/seed0/pam/path"]),
        (Retuning, ["badnets/seed0/control/retuning-3", "badnets/seed0/pam/retuning-3"], []),
    ],
)
def test_a_later_version_of_a_method_is_another_stage(
    method: type[Method], own: list[str], follow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(method, "version", 1)
    before = plan()
    monkeypatch.setattr(method, "version", 7)
    after = plan()
    assert all(7 in after[label].settings["versions"].values() for label in own)
    assert not any(7 in s.settings.get("versions", {}).values() for s in before.values())
    for label in [*own, *follow]:
        assert after[label].id != before[label].id
    for label in ["control/seed0", "badnets/seed0/victim", "badnets/seed0/ft"]:
        assert after[label].id == before[label].id


@pytest.mark.parametrize("defender", [2, 0.001])
def test_a_defender_with_too_few_images_is_told_before_anything_is_computed(
    defender: float,
) -> None:
    spec = tables()
    spec["split"]["defender"] = defender
    with pytest.raises(SpecError, match=r"the defender has [12] clean images; give 3 at least"):
        plan_of(parse_spec(spec))
    del spec["purifier"]
    plan_of(parse_spec(spec))


def test_a_reactivation_is_tried_after_the_attacks_that_it_names() -> None:
    spec = tables()
    spec["attack"].append({"method": "blended", "poison_rate": 0.1})
    spec["reactivation"] = [
        {"method": "retuning", "budgets": [3]},
        {"method": "oba", "attacks": ["blended"], "epochs": 1},
    ]
    labels = [stage.label for stage in make_plan(parse_spec(spec), "0123456789abcdef")]
    tried = {label.split("/")[0] for label in labels if label.endswith("/oba")}
    assert tried == {"blended"}
    assert {label.split("/")[0] for label in labels if label.endswith("retuning-3")} == {
        "badnets",
        "blended",
    }


@pytest.mark.parametrize("attacks", [["sig"], [], "badnets", [0], ["badnets", "wanet"]])
def test_attacks_of_a_reactivation_that_the_spec_does_not_have(attacks: object) -> None:
    spec = tables()
    spec["reactivation"] = [{"method": "retuning", "attacks": attacks}]
    with pytest.raises(SpecError, match=r"retuning: 'attacks' is .*list .*, which are badnets$"):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds = [0]", f"seeds = [{2**63}]", "should be less than"),
        ("seeds = [0]", f"seeds = [0]\nwhite = 0x{'f' * 5000}", "a number of thousands of digits"),
        ("size = 2\n", f'size = 2\ntarget = "{"9" * 5000}"\n', "has no class"),
    ],
)
def test_numbers_of_any_length_cost_one_line(old: str, new: str, words: str) -> None:
    assert SPEC.count(old) == 1
    with pytest.raises(SpecError, match=words):
        plan_of(parse_spec(tomllib.loads(SPEC.replace(old, new))))
