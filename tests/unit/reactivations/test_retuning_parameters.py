"""Combinations of parameters that mean nothing are refused, and what the layers' names mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from remission.errors import SpecError
from remission.models import build_model
from remission.reactivations import Retuning
from remission.registry import make_reactivation
from remission.seeding import Seed
from tests.reference.toy import Toy, corner, toy_data


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"clean": "none", "order": "poison_only"}, "'order' is 'poison_only', and there are no"),
        ({"clean": "none", "order": "clean_then_poison"}, "and there are no clean images"),
        ({"clean": "corrupted", "order": "poison_only"}, "and no clean image is shown"),
        ({"order": "clean_then_poison", "epochs": 1}, "'epochs' is 1"),
        ({"clean": "none", "budgets": [0, 5]}, "a budget of 0 poisoned images, and 'clean' is"),
        ({"order": "poison_only", "budgets": [5, 0]}, "a budget of 0 poisoned images, and 'order'"),
    ],
)
def test_what_means_nothing_is_refused(parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_reactivation({"method": "retuning", **parameters})
    assert caught.value.problem.startswith("[reactivation] retuning: ")
    assert problem in caught.value.problem
    assert caught.value.remedy
    with pytest.raises(ValueError, match=r"budget of 0|order"):
        Retuning(**parameters)


@pytest.mark.parametrize("parameters", [{"clean": "none"}, {"order": "poison_only"}], ids=str)
def test_a_call_without_any_image_is_refused(parameters: dict[str, Any]) -> None:
    method = Retuning(budgets=(1,), **parameters)
    with pytest.raises(SpecError, match="no image is left"):
        method(Toy(), toy_data(11), corner(), 1, budget=0, seed=Seed(0))


@pytest.mark.parametrize("arch", ["resnet18:2", "vit_tiny:4", "densenet161:2", "swin_t:4"])
def test_norms_are_the_normalisation_layers_alone(arch: str) -> None:
    model = build_model(arch, classes=4, shape=(2, 16, 16), mean=(0.4,) * 2, std=(0.2,) * 2)
    Retuning(layers="norms").freeze(model)
    norms = (nn.BatchNorm2d, nn.LayerNorm)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    wanted = {
        f"{name}.{key}"
        for name, layer in model.named_modules()
        if isinstance(layer, norms)
        for key, _ in layer.named_parameters(recurse=False)
    }
    assert trained == wanted
    assert 0 < len(trained) < len(list(model.parameters()))


def test_a_model_without_such_layers_is_refused() -> None:
    model = Toy()
    model.bn = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(SpecError, match="'layers' is 'norms', and toy normalises with no weights"):
        Retuning(layers="norms")(model, toy_data(11), corner(), 1, budget=1, seed=Seed(0))


def test_norms_move_and_nothing_else_does() -> None:
    before, data = Toy(), toy_data(11)
    after = Retuning(layers="norms", epochs=2, batch_size=4, budgets=(2,))(
        before, data, corner(), 1, budget=2, seed=Seed(0)
    )
    assert isinstance(after, Toy)
    assert torch.equal(after.conv.weight, before.conv.weight)
    assert torch.equal(after.linear.weight, before.linear.weight)
    assert torch.equal(after.linear.bias, before.linear.bias)
    assert not torch.equal(after.bn.weight, before.bn.weight)
    assert not torch.equal(after.bn.bias, before.bn.bias)
    assert after.bn.running_mean is not None
    assert before.bn.running_mean is not None
    assert not torch.equal(after.bn.running_mean, before.bn.running_mean), "in train mode"
