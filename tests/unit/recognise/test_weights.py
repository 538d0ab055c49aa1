"""Recognised weights in a classifier of ours: the same logits, and the same names back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from remission.models import Classifier, build_like
from remission.recognise import ArchitectureError, build, foreign_state, recognise
from remission.seeding import Seed
from tests.unit.recognise.cases import CASES, tape


def built(name: str, state: dict[str, Tensor] | None = None) -> Classifier:
    case = CASES[name]
    mean, std = (0.25,) * case.channels, (0.5,) * case.channels
    recognised = recognise(state or tape(name).state, case.arch)
    return build(recognised, size=(case.side, case.side), mean=mean, std=std)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether names, order, types, shapes and values agree."""
    return list(one) == list(other) and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_those_of_the_source_and_names_come_back(name: str) -> None:
    source, model = tape(name), built(name)
    images = source.images()
    expected = source((images - 0.25) / 0.5)
    assert expected.std(0).min() > 1e-4, "the images are told apart"
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
    parts = model.classify(model.features(images))
    torch.testing.assert_close(parts, expected, rtol=1e-4, atol=1e-5)
    assert same(foreign_state(model), source.state)


@torch.no_grad()
def test_changed_weights_come_back_changed() -> None:
    model = copy.deepcopy(built("transformers vit"))
    model.get_parameter("blocks.1.attn.qkv.weight")[128:256] += 1  # the keys of two heads
    state, before = foreign_state(model), tape("transformers vit").state
    changed = [key for key in state if not torch.equal(state[key], before[key])]
    assert changed == ["vit.encoder.layer.1.attention.attention.key.weight"]
    torch.testing.assert_close(state[changed[0]], before[changed[0]] + 1)


def test_types_wrappers_and_counters_of_the_source_come_back() -> None:
    name = "torchvision resnet18"
    plain = {k: v.half() if v.ndim else v for k, v in tape(name).state.items()}
    without = {k: v for k, v in plain.items() if not k.endswith("num_batches_tracked")}
    wrapped = {"module.0.mean": torch.full((1, 3, 1, 1), 0.25)}
    wrapped |= {f"module.1.{key}": value for key, value in without.items()}
    wrapped |= {"module.0.std": torch.full((1, 3, 1, 1), 0.5), "n_averaged": torch.tensor(3)}
    model = build(recognise(wrapped), size=(64, 64))
    assert model.mean.flatten().tolist() == [0.25] * 3
    assert model.std.flatten().tolist() == [0.5] * 3
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert same(foreign_state(model), wrapped)


@torch.no_grad()
def test_a_resize_before_a_transformer() -> None:
    """BackdoorBench saves Sequential(Resize, vit)."""
    source = tape("torchvision vit")
    state = {f"1.{key}": value for key, value in source.state.items()}
    normal: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    images = torch.rand(2, 3, 8, 8, generator=Seed(1).generator())
    model = build(recognise(state), size=(8, 8), **normal)
    large = nn.functional.interpolate(images, size=(16, 16), mode="bilinear")
    torch.testing.assert_close(model(images), source(large), rtol=1e-4, atol=1e-5)
    assert same(foreign_state(model), state)
    with pytest.raises(ArchitectureError, match="takes images of 16x16, these have 8x8; resize"):
        build(recognise(source.state), size=(8, 8), **normal)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": (64, 64)}, "no tensor says how images are normalised; give mean and std"),
        ({"mean": (0.5,), "std": (0.5,)}, "do not say how large the images are; give height"),
        ({"size": (64, 64), "mean": (0.5,) * 2, "std": (0.5,) * 3}, "do not fit images of 3"),
        ({"size": (64, 64), "mean": (0.5,) * 3, "std": (0.0,) * 3}, "above 0"),
    ],
)
def test_what_no_tensor_says_must_be_given(given: dict[str, tuple[float, ...]], said: str) -> None:
    with pytest.raises(ArchitectureError, match=said):
        build(recognise(tape("torchvision resnet18").state), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_must_be_finite(value: float) -> None:
    state = dict(tape("cifar resnet18").state)
    state["layer3.0.conv1.weight"] = torch.full_like(state["layer3.0.conv1.weight"], value)
    with pytest.raises(ArchitectureError, match=r"'layer3.0.conv1.weight' holds values that are"):
        built("cifar resnet18", state)


def test_quantised_weights_are_refused() -> None:
    state = dict(tape("cifar resnet18").state)
    state["linear.weight"] = (state["linear.weight"] * 50).to(torch.int8)
    with pytest.raises(ArchitectureError, match=r"'linear.weight' holds values of type int8"):
        built("cifar resnet18", state)


def test_a_layer_that_lost_channels_has_no_names_any_more() -> None:
    model = built("cifar resnet18")
    model.get_submodule("layer1.0").conv1 = nn.Conv2d(3, 2, 3, bias=False)
    with pytest.raises(ArchitectureError, match=r"no values for 'layer1.0.conv1.weight' any more"):
        foreign_state(model)


@pytest.mark.parametrize("name", ["torchvision resnet18", "timm vit", "cifar resnet18"])
def test_a_twin_with_fresh_weights(name: str) -> None:
    model = built(name)
    one, again, other = (build_like(model, seed=Seed(seed)).eval() for seed in (1, 1, 2))
    assert type(one) is type(model)
    assert model.source is not None, "the model itself is not changed"
    images = tape(name).images()
    assert torch.equal(one(images), again(images))
    for different in (model, other):
        assert not torch.allclose(one(images), different(images))
