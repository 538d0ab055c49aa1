"""The ResNet for small images: published names, and its forward pass against a plain one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from remission.errors import SpecError
from remission.models import Classifier, build_model, parse_arch
from remission.seeding import Seed

MEANS = {1: (0.3,), 3: (0.5, 0.4, 0.3)}
STDS = {1: (0.25,), 3: (0.2, 0.3, 0.25)}


def built(arch: str, shape: tuple[int, int, int], classes: int = 10, seed: int = 0) -> Classifier:
    return build_model(
        arch,
        classes=classes,
        shape=shape,
        mean=MEANS[shape[0]],
        std=STDS[shape[0]],
        seed=Seed(seed),
    )


def lived_in(model: Classifier) -> Classifier:
    """Returns a model whose batch normalisation is not the identity."""
    generator = torch.Generator().manual_seed(1)
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            value.copy_(torch.randn(value.shape, generator=generator) / 5)
        elif key.endswith("running_var") or ("bn" in key and key.endswith("weight")):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return model


def published_names() -> list[str]:
    """Returns the parameters of the CIFAR ResNet-18, in the order of public implementations."""

    def batchnorm(name: str) -> list[str]:
        return [f"{name}.weight", f"{name}.bias"]

    names = ["conv1.weight", *batchnorm("bn1")]
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            here = f"layer{layer}.{block}"
            names += [f"{here}.conv1.weight", *batchnorm(f"{here}.bn1")]
            names += [f"{here}.conv2.weight", *batchnorm(f"{here}.bn2")]
            if layer > 1 and block == 0:
                names += [f"{here}.shortcut.0.weight", *batchnorm(f"{here}.shortcut.1")]
    return [*names, "linear.weight", "linear.bias"]


def test_parameters_have_the_published_names() -> None:
    model = built("resnet18:2", (3, 32, 32))
    assert [name for name, _ in model.named_parameters()] == published_names()


def test_the_state_dict_holds_layers_and_no_normalisation() -> None:
    model = built("resnet18:2", (3, 32, 32))
    statistics = {
        f"{name.rpartition('.')[0]}.{kind}"
        for name in published_names()
        if name.endswith(".bias") and not name.startswith("linear")
        for kind in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert model.state_dict().keys() == {*published_names(), *statistics}


def test_resnet18_has_as_many_parameters_as_the_published_one() -> None:
    with torch.device("meta"):
        model = built("resnet18", (3, 32, 32))
    assert sum(p.numel() for p in model.parameters()) == 11_173_962


def slow_forward(model: Classifier, images: Tensor, *, training: bool) -> Tensor:
    """Returns the logits in float64, layer by layer from the state dict."""
    state: dict[str, Tensor] = {key: value.double() for key, value in model.state_dict().items()}
    channels = len(images[0])

    def convolved(x: Tensor, name: str, stride: int) -> Tensor:
        weight = state[f"{name}.weight"]
        out, _, size, _ = weight.shape
        patches = torch.nn.functional.unfold(x, size, padding=size // 2, stride=stride)
        height = (x.shape[2] + stride - 1) // stride
        return (weight.reshape(out, -1) @ patches).reshape(len(x), out, height, -1)

    def normalised(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return x * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    mean = torch.tensor(MEANS[channels], dtype=torch.float64)[:, None, None]
    std = torch.tensor(STDS[channels], dtype=torch.float64)[:, None, None]
    x = (images.double() - mean) / std
    x = normalised(convolved(x, "conv1", 1), "bn1").relu()
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            here = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            inner = normalised(convolved(x, f"{here}.conv1", stride), f"{here}.bn1").relu()
            inner = normalised(convolved(inner, f"{here}.conv2", 1), f"{here}.bn2")
            if f"{here}.shortcut.0.weight" in state:
                x = normalised(convolved(x, f"{here}.shortcut.0", stride), f"{here}.shortcut.1")
            x = (inner + x).relu()
    return x.mean((2, 3)) @ state["linear.weight"].T + state["linear.bias"]


SHAPES = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 9, 17), (1, 31, 12), (3, 64, 64)]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_the_obvious_computation(shape: tuple[int, int, int], training: bool) -> None:
    model = lived_in(built("resnet18:2", shape)).train(training)
    images = torch.rand(5, *shape, generator=torch.Generator().manual_seed(2))
    expected = slow_forward(model, images, training=training)
    with torch.no_grad():
        found = model(images)
    assert found.shape == (5, 10)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    assert (found.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_the_head_on_the_last_feature_map(shape: tuple[int, int, int]) -> None:
    model = lived_in(built("resnet18:2", shape)).eval()
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        features = model.features(images)
        assert torch.equal(model.classify(features), model(images))
    height, width = (-(-side // 8) for side in shape[1:])
    assert features.shape == (2, 16, height, width)


def test_the_model_normalises_its_images_itself() -> None:
    own = built("resnet18:2", (3, 8, 8)).eval()
    plain = build_model(
        "resnet18:2", classes=10, shape=(3, 8, 8), mean=(0, 0, 0), std=(1, 1, 1), seed=Seed(0)
    ).eval()
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    mean, std = (torch.tensor(c[3]).view(1, 3, 1, 1) for c in (MEANS, STDS))
    with torch.no_grad():
        torch.testing.assert_close(own(images), plain((images - mean) / std))


def test_normalisation_follows_the_model_to_a_copy_and_to_another_type() -> None:
    model = copy.deepcopy(built("resnet18:2", (3, 8, 8))).double().eval()
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        assert model(images).dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
def test_weights_and_features_lie_in_channels_last_memory(shape: tuple[int, int, int]) -> None:
    model = built("resnet18:2", shape)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last), name
    with torch.no_grad():
        features = model.features(torch.rand(2, *shape))
    assert features.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_bf16_gives_fp32_logits_and_gradients_near_those_of_fp32(training: bool) -> None:
    model = lived_in(built("resnet18:4", (3, 16, 16))).train(training)
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    exact = model(images)
    model.precision = "bf16"
    logits = model(images)
    assert logits.dtype == torch.float32
    assert model.features(images).dtype == torch.bfloat16
    assert not torch.equal(logits, exact)  # it was bf16 inside
    torch.testing.assert_close(logits, exact, rtol=0.1, atol=0.1)
    logits.sum().backward()
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, again, other = (built("resnet18:2", (1, 8, 8), seed=seed) for seed in (3, 3, 4))
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert not torch.equal(first.state_dict()["conv1.weight"], other.state_dict()["conv1.weight"])


def test_building_and_using_a_model_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    built("resnet18:2", (1, 8, 8))(torch.zeros(2, 1, 8, 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_do_not_depend_on_the_global_generator() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = built("resnet18:2", (1, 8, 8))
        torch.manual_seed(2)
        again = built("resnet18:2", (1, 8, 8))
    assert torch.equal(first.state_dict()["linear.weight"], again.state_dict()["linear.weight"])


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("resnet18", ("resnet18", 64)),
        ("resnet18:1", ("resnet18", 1)),
        ("resnet18:16", ("resnet18", 16)),
    ],
)
def test_an_arch_is_a_name_and_a_width(arch: str, expected: tuple[str, int]) -> None:
    assert parse_arch(arch) == expected


@pytest.mark.parametrize(
    ("arch", "told"),
    [
        ("resnet19", "unknown model 'resnet19'; did you mean 'resnet18'?"),
        ("", "unknown model ''; use one that exists"),
        ("resnet18:0", "the width is '0'; give a number from 1 to 1024 (number of base channels"),
        ("resnet18:", "the width is ''; "),
        ("resnet18:-4", "the width is '-4'; "),
        ("resnet18:wide", "the width is 'wide'; "),
        ("resnet18:1e3", "the width is '1e3'; "),
        ("resnet18:1025", "the width is '1025'; "),
        ("resnet18:99999999999999999999", "the width is '99999999999999999999'; "),
        ("resnet18:1_0", "the width is '1_0'; "),
        ("vit_tiny:3", "the width is '3'; give a number from 4 to 1024 (embedding dimension"),
        ("densenet161:0", "(growth rate, the number of channels that each layer adds)"),
        ("swint", "unknown model 'swint'; did you mean 'swin_t'?"),
        ("resnet18:²", "the width is '²'; "),
        ("resnet18:8:8", "the width is '8:8'; "),
    ],
)
def test_an_arch_that_does_not_exist_says_what_does(arch: str, told: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_arch(arch)
    assert told in str(error.value)


@pytest.mark.parametrize("shape", [(1, 7, 28), (3, 28, 7), (1, 1, 1)], ids=str)
def test_images_too_small_for_three_halvings_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(SpecError, match=r"too small for resnet18:2; use images of at least 8x8"):
        built("resnet18:2", shape)
