"""A whole grid with ``--device cuda``: stages of every kind, their records, and what they store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from remission.grid.dry_run import estimate
from remission.grid.run import plan_of
from remission.grid.spec import read_spec
from remission.grid.stages.datasets import dataset_of, split_of
from remission.records.kinds import KINDS
from remission.rehearsal import Rehearsal
from tests.device.pretended import pretended_device
from tests.unit.grid.small import by_label, remission, results, write_spec

EDITS = (
    ("seeds = [0]", "seeds = [0]\ntransfer = true\ninnocent = [0]"),
    ("test = 60", "test = 60\nvalidation = 50"),
    ('augment = "none"', 'augment = "crop_flip"'),
    (
        'method = "bti_dbf"\ngenerator = "small"\nfilters = 2\nlevels = 1\npretrain_epochs = 1\n'
        "mask_epochs = 1\nepochs = 1",
        'method = "voted"\nsteps = 2\nbatch_size = 4\ngrid = 2\nstarts = 2\nmargin_steps = 2\n'
        "reference_epochs = 1",
    ),
    ('[[purifier]]\nmethod = "ft"\nepochs = 2\naugment = "none"\n', ""),
    ("points = 2", "points = 2\nretuned = 3\nplane = 2\ncurve = 1"),
)
MORE = """
[[reactivation]]
method = "oba"
mode = "white_box"
epochs = 1
steps = 1

[[ensemble]]
budgets = [0, 3]
epochs = 1
"""
CRAFTED = ('method = "badnets"\nsize = 2\nmargin = 0', 'method = "sig"\nfrequency = 2')


@pytest.fixture(autouse=True)
def _without_its_images() -> Iterator[None]:
    """Forgets the images that lie on the pretended device."""
    split_of.cache_clear()
    yield
    split_of.cache_clear()


def on(device: str, spec: Path, folder: Path, *options: str) -> Path:
    """Runs a spec in this process; returns the store."""
    store = folder / device
    told = remission(
        "run", spec, "--store", store, "--device", device, "--jobs", "1", "--quiet", *options
    )
    assert told.status == 0, told.err
    return store


def untimed(value: Any) -> Any:  # noqa: ANN401
    """Returns what a record holds without the seconds that something took."""
    if isinstance(value, dict):
        return {key: untimed(v) for key, v in value.items() if not key.endswith("seconds")}
    return list(map(untimed, value)) if isinstance(value, list) else value


def test_every_kind_of_stage_has_the_results_of_the_processor(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, *EDITS, more=MORE)
    wanted = results(on("cpu", spec, tmp_path))
    with pretended_device() as drawn:
        store = on("cuda", spec, tmp_path)
    assert not drawn
    found = results(store)
    assert {str(record["kind"]) for record in found.values()} == set(KINDS)
    assert {label: record["error"] for label, record in found.items() if record["error"]} == {}
    assert found.keys() == wanted.keys()
    assert [label for label in found if untimed(found[label]) != untimed(wanted[label])] == []
    assert {record.environment["device"] for record in by_label(store).values()} == {
        "cuda: pretended"
    }


def test_crafted_images_are_stored_and_retuned_with(tmp_path: Path) -> None:
    spec, only = write_spec(tmp_path, CRAFTED), ("--only", "*/control/retuning-3")
    wanted = results(on("cpu", spec, tmp_path, *only))
    with pretended_device():
        found = results(on("cuda", spec, tmp_path, *only))
    assert found == wanted
    assert any("crafted" in record["artefacts"] for record in found.values())  # type: ignore[operator]


def test_a_dry_run_rehearses_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = partial(Rehearsal, patience=0.0)
    module = import_module("remission.grid.dry_run.estimate")  # the package names its function so
    monkeypatch.setattr(module, "Rehearsal", impatient)
    spec, device = read_spec(write_spec(tmp_path, *EDITS, more=MORE)), torch.device("cuda")
    with pretended_device():
        plan = plan_of(spec, device=device)
        seconds = estimate(plan, dataset_of("digits"), device)
        failed = [stage.label for stage in plan if seconds[stage.id] is None]
    assert plan
    assert failed == []
