"""Purifiers on a never-backdoored model, and purifiers with seeds of their own."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.spec.spec import parse_spec
from remission.records import read_records
from tests.unit.grid.small import SPEC, remission, run, snapshot, write_spec

INNOCENT = ("seeds = [0]", "seeds = [0]\ninnocent = [0]")


def plan_of(spec: dict[str, Any]) -> dict[str, Stage]:
    return {s.label: s for s in make_plan(parse_spec(spec), "0123456789abcdef")}


def tables(**more: object) -> dict[str, Any]:
    return {**tomllib.loads(SPEC), **more}


def test_the_control_stands_where_the_victim_stands() -> None:
    plan = plan_of(tables(seeds=[0, 1], innocent=[1]))
    control = plan["control/seed1"].id
    handed = {label: stage for label, stage in plan.items() if label.startswith("none/")}
    assert handed.keys() == {f"none/seed1/{name}" for name in ("control", "ft", "pam", "inversion")}
    assert all(stage.parents["victim"] == control for stage in handed.values())
    assert handed["none/seed1/pam"].parents["inversion"] == handed["none/seed1/inversion"].id
    without = {s.id for s in plan_of(tables(seeds=[0, 1])).values()}
    assert {s.id for s in plan.values()} - without == {s.id for s in handed.values()}


def test_a_purifier_that_knows_the_trigger_has_nothing_to_unlearn_there() -> None:
    spec = tables(innocent=[0], purifier=[{"method": "ep"}, {"method": "pam", "trigger": "true"}])
    assert [label for label in plan_of(spec) if label.startswith("none/")] == ["none/seed0/control"]


def test_a_purifier_is_computed_for_its_own_seeds() -> None:
    spec = tables(seeds=[0, 1, 2], innocent=[0, 1, 2])
    everywhere = plan_of(spec)
    spec["purifier"][0]["seeds"] = [1]
    plan = plan_of(spec)
    gone = everywhere.keys() - plan.keys()
    assert gone == {k for k in everywhere if "/ft" in k and "seed1" not in k}
    assert all(plan[label].id == everywhere[label].id for label in plan)


@pytest.mark.parametrize("seeds", [[3], [], "0", 0, [0, 3]])
def test_seeds_that_the_spec_does_not_have(seeds: object) -> None:
    spec = tables()
    spec["purifier"][0]["seeds"] = seeds
    with pytest.raises(SpecError, match=r"ft: 'seeds' is .*; list some of the spec's, .*\[0\]"):
        parse_spec(spec)


def test_an_innocent_seed_that_the_spec_does_not_have() -> None:
    message = r"^the spec: 'innocent' names seed 1; list some of the spec's, which are \[0\]"
    with pytest.raises(SpecError, match=message):
        parse_spec(tables(innocent=[1]))


def test_what_purifiers_cost_an_innocent_model_is_measured_and_told(tmp_path: Path) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path, INNOCENT)
    told = run(spec, store, "--only", "none/*")
    assert told.status == 0, told.err
    before = snapshot(store)
    assert run(spec, store, "--only", "none/*").status == 0
    assert snapshot(store, "records") == {k: v for k, v in before.items() if "records/" in k}
    records = {record.label: record for record in read_records(store)}
    for name in ("control", "ft", "pam"):
        cell = records[f"none/seed0/{name}"].cell
        assert cell is not None
        assert (cell.attack, cell.target, cell.poison_rate) == ("none", None, 0.0)
        assert (cell.asr, cell.robust_acc, cell.n_triggered) == (None, None, 0)
        assert cell.clean_acc is not None
        assert cell.n_clean == 60
    shown = remission("table", store, "--view", "innocent", "--format", "json")
    lines = {line["purifier"]: line for line in json.loads(shown.out)}
    claimed = records["none/seed0/inversion"].details
    assert claimed["true_target"] is None
    assert lines["pam"]["inversion_target"] == claimed["target"]
    assert lines["pam"]["inversion_share"] == claimed["target_share"]
    assert lines["ft"]["inversion_target"] is None
    assert {line["control_clean_acc"] for line in lines.values()} == {lines["control"]["clean_acc"]}
    for format in ("text", "markdown"):
        table = remission("table", store, "--format", format)
        assert table.status == 0
        assert "never backdoored" in table.out
    page = tmp_path / "page.html"
    assert remission("report", store, "-o", page).status == 0
    assert "never backdoored" in page.read_text(encoding="utf-8")


def test_a_dry_run_estimates_them(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, INNOCENT)
    told = remission("run", spec, "--store", tmp_path / "store", "--dry-run", "--only", "none/*")
    assert told.status == 0
    lines = [line for line in told.out.splitlines() if "none/seed0/" in line]
    assert len(lines) == 4
    assert all("~" in line for line in lines), told.out
