"""The network in a checkpoint, wherever people put it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from remission.audit.suspect.folder_files import model_files
from remission.audit.suspect.states import find_network, find_states
from remission.checkpoints import read_checkpoint
from remission.errors import CheckpointError
from remission.recognise import build
from tests.unit.audit.suspect.models import WAYS, network


@pytest.mark.parametrize("way", WAYS)
def test_every_way_leads_to_the_same_network(way: str, tmp_path: Path) -> None:
    save, place = WAYS[way]
    model = network()
    file = model_files(save(model, tmp_path)).weights
    found = find_network(read_checkpoint(file), origin="FILE")
    assert found.state.place == place
    assert found.fitting[0].arch == "resnet18:2"
    assert found.fitting[0].classes == 3
    read = build(found.fitting[0], size=(16, 16), mean=(0.5,) * 3, std=(0.2,) * 3)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(read(images), model(images))


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "file.pt")
    return folder / "file.pt"


def halved(model: nn.Module) -> dict[str, Tensor]:
    return {key: value / 2 for key, value in model.state_dict().items()}


def test_of_several_networks_one_is_asked_for(tmp_path: Path) -> None:
    model = network()
    content = {"state_dict": model.state_dict(), "nested": {"state_dict_ema": halved(model)}}
    loaded = read_checkpoint(saved(content, tmp_path))
    with pytest.raises(CheckpointError, match="several networks") as caught:
        find_network(loaded, origin="FILE")
    assert "'state_dict' (resnet18:2), 'nested.state_dict_ema' (resnet18:2)" in str(caught.value)
    found = find_network(loaded, origin="FILE", place="nested.state_dict_ema")
    weight = found.state.tensors["linear.weight"]
    assert torch.equal(weight, model.state_dict()["linear.weight"] / 2)
    with pytest.raises(CheckpointError, match="did you mean 'state_dict'"):
        find_network(loaded, origin="FILE", place="statedict")


def test_optimisers_and_what_leads_nowhere_are_passed_over(tmp_path: Path) -> None:
    content = {
        "optimizerC": {"momentum": torch.zeros(3)},
        "lr_scheduler": {"rate": torch.zeros(1)},
        "numbers": {"a": 1, "b": torch.zeros(2)},
        "empty": {},
        3: {"w": torch.zeros(1)},
        "deep": {"a": {"b": {"c": {"w": torch.zeros(1)}}}},
    }
    assert find_states(read_checkpoint(saved(content, tmp_path))) == []


def test_a_file_without_a_classifier_says_why(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no weights"):
        find_network(read_checkpoint(saved({"epoch": 3}, tmp_path)), origin="FILE")
    content = {"netG": {"weight": torch.zeros(2, 2)}, "mask": {"w": torch.zeros(1)}}
    with pytest.raises(CheckpointError, match="'netG'"):
        find_network(read_checkpoint(saved(content, tmp_path)), origin="FILE")


def test_a_word_within_a_key_is_no_optimiser(tmp_path: Path) -> None:
    model = network()
    content = {
        "optimized_model": model.state_dict(),
        "opt": {"w": torch.zeros(1)},
        "optimizer_state_dict": {"w": torch.zeros(1)},
        "amp_scaler": {"w": torch.zeros(1)},
    }
    found = find_network(read_checkpoint(saved(content, tmp_path)), origin="FILE")
    assert found.state.place == "optimized_model"


def test_a_file_of_endless_networks_is_read_in_no_time(tmp_path: Path) -> None:
    state = {"w": torch.zeros(1)}
    loaded = read_checkpoint(saved({f"n{i}": state for i in range(2000)}, tmp_path))
    assert len(find_states(loaded)) == 100
