"""An ensemble notes for each retuning what a stage of its own would measure."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from remission.grid.dry_run import estimate
from remission.grid.executor.reporter import SilentReporter
from remission.grid.executor.run_plan import run_plan
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of
from remission.grid.spec import read_spec
from remission.grid.stages.datasets import dataset_of
from remission.reactivations import Retuning
from remission.records import Record, Store, read_records
from remission.records.ensemble import EnsembleDetails, EnsembleEntry
from tests.unit.grid.small import by_label, computed, remission, run, snapshot, write_spec

VALIDATION = ("test = 60", "test = 60\nvalidation = 50")
ENSEMBLE = """
[[ensemble]]
budgets = [0, 3]
epochs = 1

[[ensemble]]
budgets = [3]
lr = 1e30

[[ensemble]]
budgets = [3]
epochs = 2
layers = "head"
optimizer = "adamw"
lr = 0.01
"""
FT, CONTROL = "badnets/seed0/ft/ensemble", "badnets/seed0/control/ensemble"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs the ensembles of ft and of the control, and the retunings of their own stages."""
    folder = tmp_path_factory.mktemp("ensemble")
    spec = write_spec(folder, VALIDATION, more=ENSEMBLE)
    for only in ("*/ft/ensemble", "*/ft/retuning-*"):
        assert run(spec, folder / "store", "--only", only).status == 0
    return folder


def details(folder: Path, label: str) -> EnsembleDetails:
    return EnsembleDetails.of(by_label(folder / "store")[label])


@pytest.mark.parametrize("row", ["control", "ft"])
def test_each_entry_is_what_a_stage_of_its_own_measures(folder: Path, row: str) -> None:
    found = details(folder, f"badnets/seed0/{row}/ensemble")
    for entry in found.entries[:2]:
        alone = by_label(folder / "store")[f"badnets/seed0/{row}/retuning-{entry.budget}"].cell
        assert alone is not None
        for name in ("clean_acc", "asr", "robust_acc", "validation_clean_acc", "validation_asr"):
            assert getattr(entry, name) == getattr(alone, name), name
        assert (found.n_clean, found.n_triggered) == (alone.n_clean, alone.n_triggered)
        assert found.n_validation == alone.n_validation == 50
        assert found.n_validation_triggered == alone.n_validation_triggered
        assert entry.retuning == {
            key: value for key, value in alone.reactivation_params.items() if key != "budgets"
        }


def test_a_retuning_that_diverges_fails_in_its_place(folder: Path) -> None:
    failed, last = details(folder, FT).entries[2:]
    assert failed.retuning["lr"] == 1e30
    assert (failed.asr, failed.validation_asr, failed.clean_acc) == (None, None, None)
    assert (failed.error or "").startswith("DivergedError: ")
    assert (last.retuning["layers"], last.error) == ("head", None)
    assert last.asr is not None


def test_the_record_says_which_model_it_is_about_and_holds_nothing_else(folder: Path) -> None:
    record = by_label(folder / "store")[FT]
    found = EnsembleDetails.of(record)
    assert (found.attack, found.purifier, found.seed, found.target) == ("badnets", "ft", 0, 0)
    assert found.purifier_params["epochs"] == 2
    assert details(folder, CONTROL).purifier == "control"
    assert (record.cell, record.artefacts, record.paths) == (None, {}, ())
    assert found.to_json() == record.details
    assert EnsembleDetails.from_json({"entries": 3, "seed": "x"}) == EnsembleDetails()


def test_it_is_stored_verified_and_kept_by_gc(folder: Path) -> None:
    store = folder / "store"
    spec = write_spec(folder, VALIDATION, more=ENSEMBLE)
    assert computed(run(spec, store, "--only", "*/ft/ensemble")) == []
    before = snapshot(store, "records", "artefacts")
    assert remission("store", "verify", store).status == 0
    assert remission("store", "gc", store).status == 0
    assert snapshot(store, "records", "artefacts") == before


class Listening(SilentReporter):
    """Records what is said about each stage's progress."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Records what is being done."""
        self.told.append(what)


def ensemble_stage(folder: Path, more: str) -> tuple[list[Stage], Stage]:
    plan = plan_of(read_spec(write_spec(folder, VALIDATION, more=more)), "*/ft/ensemble")
    return plan, next(stage for stage in plan if stage.label == FT)


def test_progress_names_each_retuning(folder: Path, tmp_path: Path) -> None:
    again = ENSEMBLE.replace("lr = 0.01", "lr = 0.02")
    plan, _ = ensemble_stage(tmp_path, again)
    ear, store = Listening(), Store(shutil.copytree(folder / "store", tmp_path / "store"))
    run_plan(plan, store, ear, device=torch.device("cpu"), jobs=1)
    order = [what.partition(",")[0] for what in ear.told]
    assert list(dict.fromkeys(order)) == ["1/4", "2/4", "3/4", "4/4"]
    assert "1/4, retuning n=0" in ear.told
    assert "4/4, retuning head n=3" in ear.told


def test_an_error_of_another_kind_fails_the_stage(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no memory")

    plan, _ = ensemble_stage(tmp_path, ENSEMBLE.replace("lr = 0.01", "lr = 0.03"))
    monkeypatch.setattr(Retuning, "reactivate", broken)
    store = Store(shutil.copytree(folder / "store", tmp_path / "store"))
    outcome = run_plan(plan, store, SilentReporter(), device=torch.device("cpu"), jobs=1)
    assert set(outcome.failed) == {FT, CONTROL}
    failures: list[Record] = [r for r in read_records(tmp_path / "store") if r.status == "failed"]
    assert all(record.cell is None for record in failures)


def test_a_dry_run_estimates_every_entry(tmp_path: Path) -> None:
    plan, stage = ensemble_stage(tmp_path, ENSEMBLE)
    more = ENSEMBLE + "\n[[ensemble]]\nbudgets = [3]\nepochs = 400\n"
    longer = ensemble_stage(tmp_path, more)[1]
    control = next(stage for stage in plan if stage.label == CONTROL)
    told: list[Stage] = []
    data = dataset_of("digits")
    device = torch.device("cpu")
    seconds = estimate([stage, control, longer], data, device, announce=told.append)
    assert told == [stage, longer], "it takes as long for every model"
    assert seconds[control.id] == seconds[stage.id]
    assert (seconds[longer.id] or 0) > 3 * (seconds[stage.id] or 0) > 0


def test_an_entry_without_rates_is_short() -> None:
    entry = EnsembleEntry(retuning={"lr": 0.1}, budget=0, error="DivergedError: x")
    assert entry.to_json() == {
        "retuning": {"lr": 0.1},
        "budget": 0,
        "seconds": 0.0,
        "error": "DivergedError: x",
    }
