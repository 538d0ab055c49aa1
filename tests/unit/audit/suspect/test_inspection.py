"""``remission inspect``: for people and for programs, for what is recognised and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.unit.audit.suspect.models import CLASSES, WAYS, network, training, with_config
from tests.unit.grid.small import remission


@pytest.mark.parametrize("way", WAYS)
def test_it_names_architecture_and_classes(way: str, tmp_path: Path) -> None:
    save, place = WAYS[way]
    told = remission("inspect", save(network(), tmp_path), "--format", "json")
    assert told.status == 0, told
    (found,) = json.loads(told.out)["networks"]
    assert found["place"] == place
    (arch,) = found["architectures"]
    assert (arch["arch"], arch["classes"], arch["channels"]) == ("resnet18:2", 3, 3)
    assert found["values"] == sum(value.numel() for value in network().state_dict().values())


def test_for_people(tmp_path: Path) -> None:
    told = remission("inspect", training(network(), tmp_path))
    assert "network in 'state_dict'" in told.out
    assert "architecture resnet18:2: 3 classes, 3 channels" in told.out
    assert "beside it: epoch, arch, optimizer, args" in told.out
    assert "linear.weight" not in told.out
    listed = remission("inspect", training(network(), tmp_path), "--keys").out
    assert "linear.weight (3, 16) float32" in listed


def test_what_stands_beside_the_weights(tmp_path: Path) -> None:
    folder = with_config(network(), tmp_path)
    said = json.loads(remission("inspect", folder, "--format", "json").out)["declared"]
    assert said["classes"] == list(CLASSES)
    assert (said["size"], said["mean"]) == ([16, 16], [0.5, 0.4, 0.3])
    assert "it names its classes: ant, bee, cow" in remission("inspect", folder).out


def test_what_is_not_recognised_is_said_and_is_no_mistake(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2, 3)}, tmp_path / "odd.pt")
    told = remission("inspect", tmp_path / "odd.pt")
    assert told.status == 0
    assert "architecture not recognised" in told.out
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    assert "it holds no network" in remission("inspect", tmp_path / "none.pt").out


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_text("<html>", encoding="utf-8")
    told = remission("inspect", tmp_path / "page.pt")
    assert told.status == 2
    assert told.err.count("\n") == 1
    assert "web page" in told.err
