"""A user's own images, from a folder of PNGs to a table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remission.grid.stages.datasets import dataset_of
from remission.records import Store, read_records
from tests.unit.grid.small import (
    FURTHER_PURIFIER,
    LABELS,
    computed,
    remission,
    run,
    write_spec,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Colour images of three classes, 9 pixels wide and 8 high, which differ in their colour."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(("bee", "ant", "cow")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(0, 100, (8, 9, 3), dtype=np.uint8)
            pixels[:, :, index] += 120
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i:02}.png")
    return tmp_path / "images"


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A spec that names the folder."""
    return write_spec(
        tmp_path,
        ('"digits"', f"'{folder}'"),
        ("defender = 40", "defender = 0.2"),
        ("attacker = 40", "attacker = 20"),
        ("victim = 120\n", ""),
        ("test = 60\n", ""),
        ("margin = 0", "margin = 0\ntarget = 2"),
    )


def test_from_a_folder_to_a_table(own: Path, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    told = run(own, store)
    assert told.status == 0, told.err
    assert sorted(computed(told)) == LABELS
    cells = json.loads(remission("table", store, "--view", "cells", "--format", "json").out)
    assert {cell["dataset"] for cell in cells} == {"images"}
    assert {(cell["n_clean"], cell["n_triggered"]) for cell in cells} == {(24, 16)}
    assert {(cell["target"], cell["target_name"]) for cell in cells} == {(2, "cow")}
    details = {record.label: record.details for record in read_records(store)}
    assert details["control/seed0"]["classes"] == ["ant", "bee", "cow"]
    assert details["badnets/seed0/victim"]["classes"] == ["ant", "bee", "cow"]
    found = details["badnets/seed0/inversion"]
    assert found["true_target_name"] == "cow"
    assert found["target_name"] == ("ant", "bee", "cow")[found["target"]]
    assert f"names class {found['target']} ({found['target_name']})" in told.err
    assert "images · resnet18:2 · badnets · poison rate 10 % · target 2 (cow)" in (
        remission("table", store).out
    )
    assert remission("report", store, "-o", tmp_path / "page.html").status == 0

    assert computed(run(own, store)) == []
    folder = folder.rename(tmp_path / "renamed")
    text = own.read_text(encoding="utf-8").replace(f"'{tmp_path}/images'", "'renamed'")
    own.write_text(text.replace("target = 2", 'target = "cow"'), encoding="utf-8")
    assert computed(run(own, store)) == []
    own.write_text(own.read_text(encoding="utf-8") + FURTHER_PURIFIER, encoding="utf-8")
    assert "badnets/seed0/ep" in computed(run(own, store))
    assert {record.cell.dataset for record in read_records(store) if record.cell} == {"images"}

    file = folder / "ant" / "07.png"
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    dataset_of.cache_clear()  # as a new process does
    told = remission("run", own, "--store", store, "--dry-run")
    assert f"{len(LABELS) + 4} stages to compute" in told.lines  # the data are not the same


def test_what_was_read_is_said_once(own: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "ant" / "more").mkdir()
    shutil.copy(folder / "ant" / "00.png", folder / "ant" / "more" / "x.png")
    shutil.copy(folder / "ant" / "00.png", folder / "ant" / "01.png")
    store, only = tmp_path / "store", ("--only", "control/*", "--jobs", "2")
    notes = [
        f"data: {folder}: 120 images of 3 classes, 96 for training and 24 for testing",
        "data: passed over: 1 folder within a class (ant/more), 1 image in such a folder "
        "(ant/more/x.png)",
        "data: copies, which stay on one side of every split: 1 of 120 images have the pixels of "
        f"an earlier one (as {folder}/ant/00.png and {folder}/ant/01.png)",
    ]
    for options in ((*only, "--dry-run"), only, only):
        dataset_of.cache_clear()  # as a new process does
        told = remission("run", own, "--store", store, *options)
        assert told.status == 0, told.err
        assert [line for line in told.lines if line.startswith("data: ")] == notes
    assert "data: " not in remission("run", own, "--store", store, *only, "--quiet").err


@pytest.mark.parametrize("place", ["remission-store", "demo/store", "bee/store"])
def test_results_in_the_folder_of_the_images_are_no_class(
    own: Path, folder: Path, tmp_path: Path, place: str
) -> None:
    store = folder / place
    only = ("--only", "control/*")
    assert run(own, store, *only).status == 0
    assert remission("report", store, "-o", store.parent / "page.html").status == 0
    dataset_of.cache_clear()  # as a new process does
    told = run(own, store, *only)
    assert (told.status, computed(told)) == (0, [])
    assert dataset_of(str(folder)).classes == ("ant", "bee", "cow")
    if place != "bee/store":
        passed = f"1 folder of results of remission ({Path(place).parts[0]})"
        assert told.err.count(passed) == 1


def test_a_store_in_a_folder_of_training_images_is_no_class(folder: Path, tmp_path: Path) -> None:
    halves = tmp_path / "halves"
    for half in ("train", "test"):
        shutil.copytree(folder, halves / half)
        Store(halves / half / "results")
    for file in (halves / "test").rglob("*.png"):  # no picture stands on both sides
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    Store(halves / "remission-store")
    dataset = dataset_of(str(halves))
    assert dataset.classes == ("ant", "bee", "cow")
    assert len(dataset.train) == len(dataset.test) == 120
