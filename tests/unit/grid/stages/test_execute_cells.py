"""The cells of a finished grid: the contract's keys, the control, every budget."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from remission.records import Record
from remission.records.sealing import sealed
from tests.unit.grid.small import LABELS, remission

CELL_KEYS = {
    "dataset",
    "arch",
    "attack",
    "attack_params",
    "poison_rate",
    "target",
    "seed",
    "purifier",
    "purifier_params",
    "reactivation",
    "reactivation_params",
    "budget",
    "clean_acc",
    "asr",
    "robust_acc",
    "seconds",
    "id",
}
PATH_KEYS = {
    "dataset",
    "arch",
    "attack",
    "seed",
    "purifier",
    "batchnorm",
    "t",
    "asr",
    "clean_acc",
}


@pytest.fixture(scope="module")
def cells(finished: Path) -> list[dict[str, Any]]:
    told = remission("table", finished, "--view", "cells", "--format", "json")
    assert told.status == 0
    found: list[dict[str, Any]] = json.loads(told.out)
    return found


def test_every_cell_has_the_keys_of_the_contract(cells: list[dict[str, Any]]) -> None:
    for cell in cells:
        assert cell.keys() >= CELL_KEYS


def test_victim_control_and_every_purifier_stand_with_every_budget(
    cells: list[dict[str, Any]],
) -> None:
    found = [(cell["purifier"], cell["reactivation"], cell["budget"]) for cell in cells]
    expected: list[tuple[str, str, int | None]] = [
        (model, "none", None) for model in ("none", "control", "ft", "pam")
    ]
    expected += list(product(("control", "ft", "pam"), ["retuning"], (0, 3)))
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_rates_are_fractions_of_the_images_they_are_measured_on(
    cells: list[dict[str, Any]],
) -> None:
    for cell in cells:
        assert cell["n_clean"] == 60
        assert 0 < cell["n_triggered"] < 60
        for key, count in (
            ("clean_acc", "n_clean"),
            ("asr", "n_triggered"),
            ("robust_acc", "n_triggered"),
        ):
            hits = cell[key] * cell[count]
            assert hits == pytest.approx(round(hits), abs=1e-9)
            assert 0 <= cell[key] <= 1
        assert cell["asr"] + cell["robust_acc"] <= 1
        assert cell["seconds"] > 0
        assert cell["cpu_seconds"] > 0
        assert cell["id"]


def test_a_cell_says_how_it_was_made(cells: list[dict[str, Any]]) -> None:
    for cell in cells:
        assert (cell["dataset"], cell["arch"], cell["seed"]) == ("digits", "resnet18:2", 0)
        assert (cell["attack"], cell["poison_rate"], cell["target"]) == ("badnets", 0.1, 0)
        assert cell["attack_params"] == {"size": 2, "margin": 0, "image": ""}
        if cell["purifier"] == "pam":
            assert cell["purifier_params"]["rho"] == 0.5  # a default, spelled out
        if cell["reactivation"] == "retuning":
            assert cell["reactivation_params"]["epochs"] == 1


def test_every_path_has_the_keys_of_the_contract_and_lists_of_one_length(finished: Path) -> None:
    told = remission("table", finished, "--view", "paths", "--format", "json")
    paths = json.loads(told.out)
    assert [(path["purifier"], path["batchnorm"]) for path in paths] == list(
        product(("ft", "pam"), ("interpolated", "recalibrated"))
    )
    for path in paths:
        assert path.keys() >= PATH_KEYS
        assert path["t"] == [0.0, 1.0]
        assert len(path["asr"]) == len(path["clean_acc"]) == 2


def test_an_interpolated_path_ends_at_the_cells_of_its_two_models(
    finished: Path, cells: list[dict[str, Any]]
) -> None:
    told = remission("table", finished, "--view", "paths", "--format", "json")
    measured = {
        cell["purifier"]: (cell["asr"], cell["clean_acc"])
        for cell in cells
        if cell["reactivation"] == "none"
    }
    for path in json.loads(told.out):
        if path["batchnorm"] == "interpolated":
            ends = list(zip(path["asr"], path["clean_acc"], strict=True))
            assert ends == [measured["none"], measured[path["purifier"]]]


def test_retuning_nothing_is_not_retuning_with_a_budget(cells: list[dict[str, Any]]) -> None:
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_a_record_reads_back_as_it_was_written(finished: Path) -> None:
    files = sorted((finished / "records").rglob("*.json"))
    assert len(files) == len(LABELS)
    for file in files:
        text = file.read_text(encoding="utf-8")
        record = Record.from_json(text)
        assert sealed(record.to_json()) == text
        assert (record.kind, record.id) == (file.parent.name, file.stem)
        assert {"torch", "precision", "threads"} <= record.environment.keys()
