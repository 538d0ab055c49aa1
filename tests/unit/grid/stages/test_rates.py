"""Models are measured on the validation images as well, where the split has some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remission.data import load_dataset
from remission.grid.plan import Stage
from remission.grid.run import plan_of
from remission.grid.spec import read_spec
from remission.grid.stages.inputs import StageInputs
from remission.models.checkpoint import unpack
from remission.records import Cell, Record, Store, read_records
from remission.training import evaluate
from remission.types import Split
from tests.unit.grid.small import computed, run, write_spec
from tests.unit.grid.stages.test_inputs import CPU

VALIDATION = ("test = 60", "test = 60\nvalidation = 50")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Stage]]:
    """Runs the small grid with a validation; returns the store and the stages by label."""
    folder = tmp_path_factory.mktemp("validation")
    spec = write_spec(folder, VALIDATION, ("seeds = [0]", "seeds = [0]\ninnocent = [0]"))
    store = folder / "store"
    assert run(spec, store, "--only", "control/*", "--only", "*/ft*").status == 0
    return store, {stage.label: stage for stage in plan_of(read_spec(spec))}


def record(measured: tuple[Path, dict[str, Stage]], label: str) -> tuple[Record, Cell]:
    """Returns a record of the store and its cell."""
    (found,) = (r for r in read_records(measured[0]) if r.label == label)
    assert found.cell is not None
    return found, found.cell


def test_rates_on_the_validation_are_those_of_the_stored_model(
    measured: tuple[Path, dict[str, Stage]],
) -> None:
    store, stages = Store(measured[0]), measured[1]
    for label in ("victim", "ft", "control/retuning-3", "ft/retuning-3"):
        found, cell = record(measured, f"badnets/seed0/{label}")
        inputs = StageInputs(stages[found.label], store, CPU)
        images = inputs.split.validation
        assert images is not None
        if "weights" not in found.artefacts:  # retuned models are not stored
            assert cell.n_validation == 50
            assert cell.validation_asr is not None
            continue
        model = inputs.new_model()
        unpack(model, store.read(found, "weights"), "weights")
        trigger = StageInputs(stages["badnets/seed0/ft"], store, CPU).trigger()
        rates = evaluate(model, images, *trigger)
        assert cell.validation_clean_acc == rates.clean_acc.value
        assert cell.validation_asr == rates.asr.value
        assert cell.n_validation == len(images) == 50
        assert cell.n_validation_triggered == rates.asr.total == int((images.labels != 0).sum())


def test_without_an_attack_the_clean_accuracy_alone_is_measured(
    measured: tuple[Path, dict[str, Stage]],
) -> None:
    _, cell = record(measured, "none/seed0/ft")
    assert cell.n_validation == 50
    assert cell.validation_clean_acc is not None
    assert cell.validation_asr is None
    assert cell.n_validation_triggered == 0


def test_the_victim_names_the_size_of_each_set(measured: tuple[Path, dict[str, Stage]]) -> None:
    found, _ = record(measured, "badnets/seed0/victim")
    sizes = {"victim": 120, "defender": 40, "attacker": 40, "validation": 50, "test": 60}
    assert found.details["split"] == sizes


def test_without_a_validation_nothing_changes(finished: Path, tmp_path: Path) -> None:
    assert all(r.cell.n_validation == 0 for r in read_records(finished) if r.cell)
    explicit = write_spec(tmp_path, ("test = 60", "test = 60\nvalidation = 0"))
    assert computed(run(explicit, finished)) == []


def test_a_split_moves_its_validation_too() -> None:
    data = load_dataset("digits")
    images = data.test
    split = Split(victim=images, defender=images, attacker=images, test=images)
    assert split.to("cpu").validation is None
    moved = replace(split, validation=data.train[:5]).to("cpu").validation
    assert moved is not None
    assert len(moved) == 5
