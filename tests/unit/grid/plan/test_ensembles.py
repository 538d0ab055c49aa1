"""One stage per model tries a whole ensemble of retunings."""

from __future__ import annotations

import tomllib
from typing import Any

from remission.grid.plan import Stage, make_plan, select
from remission.grid.plan.ensembles import ensemble_settings
from remission.grid.spec import parse_spec
from remission.reactivations import Retuning
from tests.unit.grid.small import SPEC

BLENDED = {"method": "blended", "poison_rate": 0.1}
PREFIX = "badnets/seed0"


def table(*ensemble: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401  # any section
    spec = tomllib.loads(SPEC)
    spec["split"]["validation"] = 50
    return {**spec, "ensemble": list(ensemble), **more}


def plan(*ensemble: dict[str, Any], **more: Any) -> list[Stage]:  # noqa: ANN401  # any section
    return make_plan(parse_spec(table(*ensemble, **more)), "digest")


def ensembles(stages: list[Stage]) -> dict[str, Stage]:
    return {stage.label: stage for stage in stages if stage.kind == "ensemble"}


def test_each_purified_model_and_the_control_has_one() -> None:
    found = ensembles(stages := plan({"budgets": [0, 3]}))
    by_label = {stage.label: stage.id for stage in stages}
    assert list(found) == [f"{PREFIX}/{row}/ensemble" for row in ("control", "ft", "pam")]
    for row, model in (("control", "control/seed0"), ("ft", f"{PREFIX}/ft")):
        assert found[f"{PREFIX}/{row}/ensemble"].parents == {
            "model": by_label[model],
            "victim": by_label[f"{PREFIX}/victim"],
        }


def test_its_entries_are_the_same_for_every_model_and_each_comes_once() -> None:
    found = ensembles(
        plan(
            {"budgets": [0, 3], "sweep": {"lr": [0.01, 0.1]}},
            {"method": "retuning", "budgets": [3, 5], "layers": "head"},
            {"budgets": [3], "lr": 0.1},
        )
    )
    lists = [stage.settings["ensemble"]["entries"] for stage in found.values()]
    assert lists == [lists[0]] * 3
    names = [(entry["lr"], entry["layers"], entry["budget"]) for entry in lists[0]]
    assert names == [
        *((0.01, "all", 0), (0.01, "all", 3), (0.1, "all", 0), (0.1, "all", 3)),
        *((0.01, "head", 3), (0.01, "head", 5)),
    ]


def test_an_ensemble_changes_the_identity_of_no_other_stage() -> None:
    without, stages = plan(), plan({"budgets": [3]})
    rest = [stage.id for stage in stages if stage.kind != "ensemble"]
    assert rest == [stage.id for stage in without]
    assert not ensembles(without)
    settings = ensembles(stages)[f"{PREFIX}/ft/ensemble"].settings
    purified = next(stage for stage in without if stage.label == f"{PREFIX}/ft")
    assert {k: v for k, v in settings.items() if k not in ("ensemble", "versions")} == (
        purified.settings
    )


def test_a_later_version_of_retuning_makes_another_stage(monkeypatch: Any) -> None:  # noqa: ANN401
    spec = parse_spec(table({"budgets": [3]}))
    monkeypatch.setattr(Retuning, "version", 7)
    settings = ensemble_settings(spec.methods.ensemble, "badnets")
    assert settings["versions"] == {"ensemble": 7}
    assert ensemble_settings(spec.methods.ensemble, "blended") == {}


def test_attacks_restrict_a_table_to_some() -> None:
    attacks = [*tomllib.loads(SPEC)["attack"], BLENDED]
    found = ensembles(
        plan(
            {"budgets": [3]},
            {"budgets": [5], "attacks": ["blended"]},
            attack=attacks,
            purifier=[{"method": "ft"}],
        )
    )
    budgets = {
        label: [entry["budget"] for entry in stage.settings["ensemble"]["entries"]]
        for label, stage in found.items()
    }
    assert budgets == {
        "badnets/seed0/control/ensemble": [3],
        "badnets/seed0/ft/ensemble": [3],
        "blended/seed0/control/ensemble": [3, 5],
        "blended/seed0/ft/ensemble": [3, 5],
    }


def test_only_one_model_brings_the_controls_along() -> None:
    stages = select(plan({"budgets": [3]}), f"{PREFIX}/ft/ensemble")
    assert set(ensembles(stages)) == {f"{PREFIX}/control/ensemble", f"{PREFIX}/ft/ensemble"}
    assert not [stage for stage in stages if stage.kind in ("reactivated", "path")]
    row = select(plan({"budgets": [3]}), "ft")
    assert f"{PREFIX}/ft/ensemble" in ensembles(row)
    assert f"{PREFIX}/pam/ensemble" not in ensembles(row)
