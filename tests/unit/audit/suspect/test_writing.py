"""A purified model drops into the code that read its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from torch import Tensor, nn

from remission.audit.suspect.opening import find_model, open_model
from remission.audit.suspect.writing import as_safetensors, as_stored, like_source
from remission.errors import DivergedError
from remission.models import Classifier
from tests.unit.audit.suspect.models import CLASSES, WAYS, network
from tests.unit.audit.suspect.test_opening import WAY, images, trained_by

LOADERS: dict[str, Callable[[Any], dict[str, Tensor]]] = {
    "bare": lambda content: content,
    "prefixed": lambda content: {k.removeprefix("module."): v for k, v in content.items()},
    "training": lambda content: content["state_dict"],
    "beside its trigger": lambda content: content["netC"],
    "benchmark": lambda content: content["model"],
    "whole": lambda content: content,
    "legacy": lambda content: content,
}
"""Way of saving -> how people's own code takes the state dict out of what torch.load gives."""


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return trained_by(WAY)


def purified(model: Classifier) -> Classifier:
    """Changes every weight, as a purifier would."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5)
    return model


@pytest.mark.parametrize("way", LOADERS)
def test_the_owners_code_loads_it(way: str, trained: Classifier, tmp_path: Path) -> None:
    found = find_model(WAYS[way][0](trained, tmp_path))
    model = purified(open_model(found, images(), CLASSES, given=WAY).model)
    file = tmp_path / "purified.pth"
    file.write_bytes(like_source(model, found))
    owners: nn.Module = network()
    owners.load_state_dict(LOADERS[way](torch.load(file, weights_only=True)))
    WAY.apply(owners)  # type: ignore[arg-type]
    model.precision = "fp32"
    with torch.inference_mode():
        assert torch.equal(owners.eval()(images().images), model(images().images))


def test_plain_entries_stay_beside_the_weights(trained: Classifier, tmp_path: Path) -> None:
    found = find_model(WAYS["training"][0](trained, tmp_path))
    model = open_model(found, images(), CLASSES, given=WAY).model
    (tmp_path / "like.pth").write_bytes(like_source(model, found))
    content = torch.load(tmp_path / "like.pth", weights_only=True)
    assert content["epoch"] == 7
    assert content["arch"] == "resnet18"
    assert set(content) == {"epoch", "arch", "state_dict"}, "no optimiser of other weights"


@pytest.mark.parametrize("way", ["safe", "folder"])
def test_safetensors_stay_safetensors(way: str, trained: Classifier, tmp_path: Path) -> None:
    found = find_model(WAYS[way][0](trained, tmp_path))
    model = open_model(found, images(), CLASSES, given=WAY).model
    assert like_source(model, found) == as_safetensors(model)
    (tmp_path / "like.safetensors").write_bytes(like_source(model, found))
    with safetensors.safe_open(tmp_path / "like.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}, "what transformers asks for"
        assert set(file.keys()) == set(trained.state_dict())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_measured_is_what_is_written(
    dtype: torch.dtype, trained: Classifier, tmp_path: Path
) -> None:
    state = {
        k: v.to(dtype) if v.is_floating_point() else v for k, v in trained.state_dict().items()
    }
    torch.save(state, tmp_path / "half.pth")
    found = find_model(tmp_path / "half.pth")
    model = as_stored(purified(open_model(found, images(), CLASSES, given=WAY).model))
    (tmp_path / "again.pth").write_bytes(like_source(model, found))
    again = find_model(tmp_path / "again.pth").network.state.tensors
    for key, value in model.state_dict().items():
        assert torch.equal(value, again[key].to(value.dtype)), key


def test_a_value_that_is_too_large_for_its_dtype_is_an_error(
    trained: Classifier, tmp_path: Path
) -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in trained.state_dict().items()}
    torch.save(state, tmp_path / "half.pth")
    model = open_model(find_model(tmp_path / "half.pth"), images(), CLASSES, given=WAY).model
    with torch.no_grad():
        next(model.parameters()).fill_(1e5)
    with pytest.raises(DivergedError):
        as_stored(model)
