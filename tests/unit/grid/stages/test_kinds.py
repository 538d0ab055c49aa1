"""A kind of stage from outside the package: one file, and it is seen everywhere.

It measures how confident the control is on clean images. The package does not mention it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from remission.data import load_dataset
from remission.grid.dry_run import estimate
from remission.grid.executor.reporter import RunOutcome, SilentReporter
from remission.grid.executor.run_plan import run_plan
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of
from remission.grid.spec import read_spec
from remission.grid.stages import kinds as stage_kinds
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.kinds import register_kind
from remission.grid.stages.result import StageResult
from remission.metrics import accuracy
from remission.progress import tracked
from remission.records import Store, kinds, read_records
from remission.records.kinds import Kind
from remission.records.superseded import method_of
from remission.training import predict
from tests.unit.grid.small import remission, write_spec

HESITATION = Kind(name="hesitation", runs="purifier", measures=True)


def hesitate(inputs: StageInputs) -> StageResult:
    """Measures a purified model, and notes the mean of its largest probabilities."""
    model, test = inputs.model("model"), inputs.split.test
    if inputs.stage.settings.get("broken"):
        raise RuntimeError("it cannot decide")
    sure = torch.zeros(len(test))
    with torch.inference_mode():
        for place in tracked(range(len(test)), "hesitation", len(test)):
            image = test.floats(torch.tensor([place]))
            sure[place] = model(image).softmax(1).max()
    return StageResult(
        rates=accuracy(predict(model, test), test.labels),
        details={"purifier": inputs.purifier.name, "sure": float(sure.mean())},
        files={"note.png": b"as sure as it gets"},
        cell_fields={"queries": len(test)},
    )


LABEL = "badnets/seed0/ft/hesitation"


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """Registers the kind within the tests of this file alone."""
    register_kind(HESITATION, hesitate)
    yield
    del kinds._KINDS[HESITATION.name], stage_kinds._FUNCTIONS[HESITATION.name]
    stage_kinds._registered.clear()


def plan_with(folder: Path, **more: object) -> list[Stage]:
    """Returns the plan of the small grid with a stage of that kind for its fine-tuned model."""
    plan = plan_of(read_spec(write_spec(folder)))
    tuned = next(stage for stage in plan if stage.label == "badnets/seed0/ft")
    settings = {**tuned.settings, **more}
    return [*plan, Stage(HESITATION.name, LABEL, settings, {"model": tuned.id})]


def run(plan: list[Stage], store: Path, jobs: int = 1) -> RunOutcome:
    reporter, device = SilentReporter(), torch.device("cpu")
    return run_plan(plan, Store(store), reporter, device=device, jobs=jobs)


def test_it_is_computed_stored_and_read_back(store: Path, tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    assert run(plan, store).computed == [LABEL]
    assert run(plan, store).computed == [], "a second run computes nothing"
    record = Store(store).find(HESITATION.name, plan[-1].id)
    assert record in read_records(store)
    assert record is not None
    assert record.details["purifier"] == "ft"
    assert 0.1 < record.details["sure"] <= 1
    assert record.cell is not None
    assert (record.cell.purifier, record.cell.queries, record.cell.n_clean) == ("ft", 60, 60)
    assert remission("store", "verify", store).status == 0
    shown = remission("table", store, "--view", "cells", "--format", "json")
    assert record.id in [cell["id"] for cell in json.loads(shown.out)]
    (store / record.artefacts["note"].file).write_bytes(b"something else")
    verified = remission("store", "verify", store)
    assert verified.status == 1
    assert LABEL in verified.out


def test_a_worker_process_computes_it(store: Path, tmp_path: Path) -> None:
    assert run(plan_with(tmp_path), store, jobs=2).computed == [LABEL]


def test_its_failure_is_recorded_with_a_cell(store: Path, tmp_path: Path) -> None:
    plan = plan_with(tmp_path, broken=True)
    assert run(plan, store).failed == {LABEL: "RuntimeError: it cannot decide"}
    (record,) = [one for one in read_records(store) if one.kind == HESITATION.name]
    assert record.status == "failed"
    assert record.cell is not None
    assert (record.cell.status, record.cell.purifier) == ("failed", "ft")
    assert Store(store).find(HESITATION.name, plan[-1].id) is None
    assert "failed" in remission("table", store, "--view", "cells").out


def test_a_later_version_of_its_method_supersedes_it(store: Path, tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    run(plan, store)
    assert method_of(HESITATION.name, plan[-1].settings) == ("purifier ft", 1)
    settings = {**plan[-1].settings, "versions": {"purifier": 2}}
    control = next(stage for stage in plan if stage.kind == kinds.CONTROL.name)
    later = replace(plan[-1], settings=settings, parents={"model": control.id})
    run([*plan[:-1], later], store)
    Store(store).keep_versions([(later.kind, later.settings)])
    ids = {one.id for one in read_records(store) if one.kind == HESITATION.name}
    assert ids == {later.id}
    every = {one.id for one in read_records(store, superseded=True)}
    assert {plan[-1].id, later.id} <= every


def test_a_dry_run_estimates_it(tmp_path: Path) -> None:
    plan, told = plan_with(tmp_path), list[Stage]()
    other = replace(plan[-1], settings={**plan[-1].settings, "budget": 3})
    broken = plan_with(tmp_path, broken=True)[-1]
    stages = [plan[-1], other, broken]
    seconds = estimate(stages, load_dataset("digits"), torch.device("cpu"), announce=told.append)
    assert (seconds[plan[-1].id] or 0) > 0
    assert seconds[other.id] == seconds[plan[-1].id], "the budget changes nothing"
    assert seconds[broken.id] is None
    assert told == [plan[-1], broken]


def test_an_identity_holds_the_version_of_the_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_with(tmp_path)[-1].id
    newer = replace(HESITATION, version=2)
    monkeypatch.setitem(kinds._KINDS, HESITATION.name, newer)
    assert plan_with(tmp_path)[-1].id != before


def test_a_name_is_given_to_one_kind_and_one_function() -> None:
    register_kind(HESITATION, hesitate)
    assert len(stage_kinds.registered_kinds()) == 1
    with pytest.raises(ValueError, match="another kind of stage called 'hesitation'"):
        register_kind(replace(HESITATION, stores_weights=True), hesitate)
    with pytest.raises(ValueError, match="'victim'"):
        register_kind(Kind(name="victim"), hesitate)
    with pytest.raises(ValueError, match="computed by another function"):
        register_kind(kinds.VICTIM, hesitate)
    with pytest.raises(ValueError, match="no name for a kind"):
        register_kind(Kind(name="../other"), hesitate)
    assert set(kinds.KINDS) == set(stage_kinds._FUNCTIONS)
