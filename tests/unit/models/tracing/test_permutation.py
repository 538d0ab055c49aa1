"""Permuted networks compute the same, and every hidden channel that can move does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from remission.errors import SpecError
from remission.models import Adapted, ChannelGroup, Classifier, channel_groups, permute
from tests.unit.models import plain
from tests.unit.models.ordered import (
    Bare,
    Depthwise,
    Grouped,
    Joined,
    Net,
    Placed,
    Shared,
    Shuffled,
    Twice,
    Weighted,
)
from tests.unit.models.zoo import SMALL, TRANSFORMERS, built

GROUPS = {
    # three streams of two blocks and the stem's, an inner one a block
    "resnet18": 4 + 8,
    # blocks of three convolutions, the first stage's stream is wider than the stem's
    "resnet50": 1 + 4 + 2 * 16,
    "preactresnet18": 4 + 8,
    # one after each convolution
    "vgg19_bn": 16,
    # the stem, two a layer, one a transition
    "densenet161": 1 + 2 * 78 + 3,
}


def wrapped(net: nn.Module) -> Classifier:
    return Adapted(
        net, arch=type(net).__name__, classes=10, shape=(3, 16, 16), mean=(0.5,) * 3, std=(0.3,) * 3
    )


def shaken(model: Classifier) -> Classifier:
    """Returns a model in float64 with a different batch norm per channel."""
    generator = torch.Generator().manual_seed(0)
    for layer in model.double().modules():
        if isinstance(layer, nn.BatchNorm2d):
            size = layer.num_features
            layer.weight.data = 0.5 + torch.rand(size, generator=generator).double()
            layer.bias.data = torch.randn(size, generator=generator).double()
            layer.running_mean = torch.randn(size, generator=generator).double()
            layer.running_var = 0.5 + torch.rand(size, generator=generator).double()
    return model


def assert_same_function(model: Classifier) -> list[ChannelGroup]:
    """Checks the function under a random order of every group's channels; returns the groups."""
    model = shaken(model)
    groups = channel_groups(model)
    moved, generator = copy.deepcopy(model), torch.Generator().manual_seed(1)
    permute(moved, groups, [torch.randperm(g.size, generator=generator) for g in groups])
    x = torch.rand(5, *model.shape, generator=generator).double()
    for training in (False, True):
        logits, found = model.train(training)(x), moved.train(training)(x)
        torch.testing.assert_close(found, logits, rtol=1e-9, atol=1e-11)
    changed = {
        key
        for (key, a), b in zip(model.state_dict().items(), moved.state_dict().values(), strict=True)
        if a.ndim and not torch.equal(a, b)
    }
    assert changed, "something did move"
    return groups


@pytest.mark.parametrize("name", sorted(GROUPS))
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)], ids=str)
def test_a_permuted_network_computes_the_same(name: str, shape: tuple[int, int, int]) -> None:
    groups = assert_same_function(built(SMALL[name], shape))
    assert len(groups) == GROUPS[name]
    assert all(group.readers for group in groups)


@pytest.mark.parametrize("name", ["resnet18", "preactresnet18", "vgg19_bn"])
@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_changed_by_looking(name: str, training: bool) -> None:
    model = built(SMALL[name]).train(training)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert channel_groups(model) == channel_groups(model)
    assert model.training == training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_every_tensor_but_the_ends_has_its_places() -> None:
    model = built("resnet18:2")
    placed = {(part.key, part.axis) for group in channel_groups(model) for part in group.places}
    wanted = {
        (key, axis)
        for key, value in model.state_dict().items()
        for axis in range(min(value.ndim, 2))
    }
    ends = {("conv1.weight", 1), ("linear.weight", 0), ("linear.bias", 0)}
    assert placed == wanted - ends


def test_the_layers_that_see_a_residual_stream() -> None:
    groups = channel_groups(built("resnet18:2"))
    (stem,) = (g for g in groups if any(part.key == "conv1.weight" for part in g.places))
    assert [reader.layer for reader in stem.readers] == [
        "layer1.0.conv1",
        "layer1.1.conv1",
        "layer2.0.conv1",  # the shortcut's convolution gets the same value
    ]


def test_a_dense_layer_sees_many_groups_side_by_side() -> None:
    groups = channel_groups(built("densenet161:2"))
    starts = {
        reader.start for g in groups for reader in g.readers if reader.layer == "dense1.2.conv1"
    }
    assert starts == {0, 2, 4}, "two layers' channels, then the stem's"


def test_what_cannot_be_followed_is_refused() -> None:
    for name in TRANSFORMERS:
        model = built(SMALL[name])
        with pytest.raises(SpecError) as error:
            channel_groups(model)
        assert str(error.value).startswith(f"the channels of {model.arch} cannot change places: ")
        assert (
            error.value.remedy == "use a model of convolutions and batch norm, for example resnet18"
        )
    for net in (plain.ChannelsBehind(), plain.ClassToken(), plain.PooledTokens(), plain.Declared()):
        with pytest.raises(SpecError, match="cannot change places"):
            channel_groups(wrapped(net))


@pytest.mark.parametrize(
    ("net", "sizes"),
    [
        (plain.sequential, [4, 6]),
        (plain.Residual, [6]),
        (plain.Flattening, [4, 9]),  # the last map's channels lie apart once it is flat
        (plain.FlatMean, [5, 6]),
        (plain.Stochastic, [6]),
    ],
)
def test_networks_of_others(net: type[nn.Module], sizes: list[int]) -> None:
    groups = assert_same_function(wrapped(net()))
    assert sorted(group.size for group in groups) == sizes


@pytest.mark.parametrize(
    ("net", "sizes"),
    [
        (Net, [6]),
        (Depthwise, [6]),
        (Grouped, [6]),
        (Twice, [6]),
        (Shared, [6]),
        (Joined, []),
        (Bare, [6]),
        (Shuffled, []),
        (Placed, []),
        (Weighted, [6]),
    ],
)
def test_what_depends_on_the_order_of_channels_keeps_it(net: type[Net], sizes: list[int]) -> None:
    if not sizes:
        with pytest.raises(SpecError, match=f"{net.__name__} cannot change places: their order"):
            channel_groups(wrapped(net()))
        return
    groups = assert_same_function(wrapped(net()))
    assert sorted(group.size for group in groups) == sizes
