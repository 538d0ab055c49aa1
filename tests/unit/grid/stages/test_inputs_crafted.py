"""A whole grid of clean-label attacks: the victim's crafted images reach every reactivation."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.models.checkpoint import unpack_tensors
from remission.records import Record, Store
from tests.unit.grid.small import by_label, computed, remission, run, write_spec

METHODS = """
from typing import ClassVar
import torch
from remission.attacks.base import Change, CleanLabel, Setting
from remission.method import method
from remission.reactivations import Retuning
from remission.reactivations.base import InputReactivation, Poisoning, WeightReactivation
from remission.reactivations.perturbations import UniversalPerturbation
from remission.triggers.patch import checkerboard

@method
class Dark(CleanLabel):
    name: ClassVar[str] = "dark"
    paper: ClassVar[str] = "a user's own"

    def trigger(self, shape, seed):
        return checkerboard(shape, 3, 0)

    def craft(self, setting: Setting) -> Change:
        return lambda images: images * 0 + 200 / 255

@method
class Old(Poisoning, WeightReactivation):
    name: ClassVar[str] = "old"
    paper: ClassVar[str] = "a hook as it was before there were crafted images"

    def reactivate(self, model, images, trigger, target, *, budget, seed):
        return model

@method
class OldRetuning(Retuning):
    name: ClassVar[str] = "old_retuning"
    paper: ClassVar[str] = "a retuning of a user's own, likewise"

    def reactivate(self, model, images, trigger, target, *, budget, seed):
        return super().reactivate(model, images, trigger, target, budget=budget, seed=seed)

@method
class Looks(Poisoning, WeightReactivation):
    name: ClassVar[str] = "looks"
    paper: ClassVar[str] = "a hook that takes the crafted images"

    def reactivate(self, model, images, trigger, target, *, budget, seed, crafted=None):
        assert crafted.labels.tolist() == [target] * 6, crafted.labels
        assert torch.equal(crafted.images.unique(), torch.tensor([200], dtype=torch.uint8))
        return model

@method
class Sees(InputReactivation):
    name: ClassVar[str] = "sees"
    paper: ClassVar[str] = "a perturbation"

    def perturbation(self, shape, seed):
        return UniversalPerturbation(shape, self.epsilon, seed)

    def learn(self, perturbation, model, attacker, *, budget, seed):
        assert len(attacker.crafted) == 6
"""
DARK = ('method = "badnets"\nsize = 2\nmargin = 0\npoison_rate = 0.1',
        'method = "dark"\npoison_rate = 0.05')  # fmt: skip
MORE = """
[[reactivation]]
method = "retuning"
budgets = [3]
epochs = 1
poisons = "relabelled"

[[reactivation]]
method = "qra"
budgets = [3]
epochs = 1
width = 4

[[reactivation]]
method = "old"

[[reactivation]]
method = "old_retuning"
epochs = 1
budgets = [3]

[[reactivation]]
method = "looks"

[[reactivation]]
method = "sees"
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Returns the spec, the methods and the store of a grid that was computed."""
    folder = tmp_path_factory.mktemp("crafted")
    (folder / "own.py").write_text(METHODS, encoding="utf-8")
    spec, store = write_spec(folder, DARK, more=MORE), folder / "store"
    told = run(spec, store, "--methods", str(folder / "own.py"), "--only", "*/ft*")
    assert told.status == 0, told.err
    return spec, folder / "own.py", store


def cell_of(records: dict[str, Record], label: str) -> tuple[float | None, float | None]:
    cell = records[label].cell
    assert cell is not None
    return cell.asr, cell.clean_acc


def test_the_record_of_the_victim_has_them(grid: tuple[Path, Path, Path]) -> None:
    store = grid[2]
    record = by_label(store)["dark/seed0/victim"]
    tensors = unpack_tensors(Store(store).read(record, "crafted"), "x")
    assert tensors["images"].shape == (6, 1, 8, 8)
    assert set(tensors["images"].flatten().tolist()) == {200}
    assert tensors["labels"].tolist() == [0] * 6
    assert remission("store", "verify", store).status == 0


def test_settings_name_the_option_alone(grid: tuple[Path, Path, Path]) -> None:
    records = by_label(grid[2])
    own = records["dark/seed0/ft/retuning-3"]
    other = records["dark/seed0/ft/retuning (poisons=relabelled)-3"]
    assert "poisons" not in own.settings["reactivation"]
    assert own.cell is not None
    assert "poisons" not in own.cell.reactivation_params
    assert other.settings["reactivation"]["poisons"] == "relabelled"
    assert other.cell is not None
    assert other.cell.reactivation_params["poisons"] == "relabelled"


def test_hooks_of_today_go_on(grid: tuple[Path, Path, Path]) -> None:
    records = by_label(grid[2])
    assert cell_of(records, "dark/seed0/ft/old-5") == cell_of(records, "dark/seed0/ft")
    assert "dark/seed0/ft/looks-5" in records
    assert "dark/seed0/ft/sees" in records
    assert "dark/seed0/ft/qra-3" in records
    assert "dark/seed0/ft/old_retuning-3" in records


def test_a_second_run_computes_nothing(grid: tuple[Path, Path, Path]) -> None:
    spec, methods, store = grid
    told = run(spec, store, "--methods", str(methods), "--only", "*/ft*")
    assert computed(told) == []


def test_a_lost_file_is_computed_anew(grid: tuple[Path, Path, Path]) -> None:
    spec, methods, store = grid
    record = by_label(store)["dark/seed0/victim"]
    (store / record.artefacts["crafted"].file).unlink()
    told = run(spec, store, "--methods", str(methods), "--only", "*/ft*")
    assert told.status == 0, told.err
    assert "dark/seed0/victim" in computed(told)
    assert (store / record.artefacts["crafted"].file).exists()


def test_a_dry_run_rehearses_it(grid: tuple[Path, Path, Path], tmp_path: Path) -> None:
    spec, methods, _ = grid
    told = run(spec, tmp_path / "empty", "--methods", str(methods), "--dry-run")
    assert told.status == 0, told
    assert "unknown" not in told.out
