"""Temporary states of a model, which are undone even after an error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from remission.models import Classifier, evaluating, frozen, watching_final_inputs
from tests.unit.models.zoo import built


def small() -> Classifier:
    return built("resnet18:2", (1, 8, 8))


def test_every_model_gets_its_own_mode_back() -> None:
    one, other = nn.Linear(2, 2).train(), nn.Linear(2, 2).eval()
    with evaluating(one, other):
        assert [model.training for model in (one, other)] == [False, False]
    assert [model.training for model in (one, other)] == [True, False]


def test_a_mode_is_put_back_after_an_error() -> None:
    model = nn.BatchNorm1d(2).train()
    with pytest.raises(ValueError, match="stop"), evaluating(model):
        raise ValueError("stop")
    assert model.training


def test_each_parameter_requires_gradients_as_before() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    with pytest.raises(ValueError, match="stop"), frozen(layer):
        assert not layer.weight.requires_grad
        raise ValueError("stop")
    assert layer.weight.requires_grad
    assert not layer.bias.requires_grad


def test_the_inputs_of_the_last_layer_are_shown_in_every_pass() -> None:
    model, inputs = small().eval(), list[Tensor]()
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        with watching_final_inputs(model, inputs.append):
            logits = [model(images), model(images[:1])]
        model(images)
    assert [len(values) for values in inputs] == [3, 1]
    for values, expected in zip(inputs, logits, strict=True):
        assert torch.equal(model.final_linear(values), expected)
    assert not model.final_linear._forward_pre_hooks
