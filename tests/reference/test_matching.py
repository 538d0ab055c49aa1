"""The order of channels, found by trying all orders."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from remission.errors import DivergedError
from remission.models import Classifier, build_model, channel_groups, permute
from remission.seeding import Seed
from remission.training import match, recalibrate
from remission.types import LabelledImages
from tests.reference.toy import FEATURES, Slow, Toy, flat, toy_data


def distance(x: Tensor, y: Tensor, order: tuple[int, ...]) -> float:
    """Returns the sum over images and channels of (x_i - y_order[i])^2; (N, D) each."""
    total = 0.0
    for row, other in zip(x.tolist(), y.tolist(), strict=True):
        for i, j in enumerate(order):
            total += (row[i] - other[j]) ** 2
    return total


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("seeds", [(0, 1), (2, 3), (4, 4)], ids=str)
@pytest.mark.parametrize("batch_size", [50, 4])
def test_every_order_of_three_channels(
    alike: bool, seeds: tuple[int, int], batch_size: int
) -> None:
    model, other, data = Toy(seeds[0]), Toy(seeds[1]), toy_data(11)
    groups = channel_groups(model)
    (found,) = match(model, other, groups, data, alike=alike, batch_size=batch_size)
    # the linear layer reads the mean over places, with the running statistics
    x, y = (
        Slow.like(toy).features(flat(toy), data.images, train=False).mean((2, 3))
        for toy in (model, other)
    )
    choose = min if alike else max
    best = choose(itertools.permutations(range(FEATURES)), key=lambda p: distance(x, y, p))
    assert tuple(found.tolist()) == best
    assert (best == (0, 1, 2)) == (alike and seeds == (4, 4)), "no order but that of a copy"


def test_all_values_that_show_a_group_count() -> None:
    """In a residual network several layers see the same channels."""
    data = images()
    models = []
    for number in (0, 1):
        model = build_model(
            "resnet18:4", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.3,), seed=Seed(number)
        )
        model.double().eval()
        models.append(model)
    groups = channel_groups(models[0])
    found = match(models[0], models[1], groups, data, alike=True)
    at = next(i for i, g in enumerate(groups) if any(p.key == "bn1.weight" for p in g.places))
    x, y = (seen_by(model, data) for model in models)
    best = min(itertools.permutations(range(4)), key=lambda p: distance(x, y, p))
    assert tuple(found[at].tolist()) == best


def images() -> LabelledImages:
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    return LabelledImages(x, torch.arange(6) % 3)


def seen_by(model: Classifier, data: LabelledImages) -> Tensor:
    """Returns the inputs of the layers of the first stage, written out, (values, 4)."""

    def layer(name: str) -> torch.nn.Module:
        return model.get_submodule(name)

    with torch.no_grad():
        h = layer("bn1")(layer("conv1")((data.images - model.mean) / model.std)).relu()
        values = [h]
        for block in ("layer1.0", "layer1.1"):
            h = layer(block)(h)
            values.append(h)
    return torch.cat([v.permute(0, 2, 3, 1).reshape(-1, 4) for v in values])


def test_a_permuted_network_is_put_back_exactly() -> None:
    data = images()
    model, other = (
        build_model("resnet18:4", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.3,)).double()
        for _ in range(2)
    )
    for each in (model, other):
        recalibrate(each, data)  # then no channel is dead: one dead channel is like another
    groups = channel_groups(model)
    generator = torch.Generator().manual_seed(1)
    permute(other, groups, [torch.randperm(g.size, generator=generator) for g in groups])
    assert not same(model, other)
    permute(other, groups, match(model, other, groups, data, alike=True))
    assert same(model, other)


def same(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("training", [True, False])
def test_the_models_stay_as_they_are(training: bool) -> None:
    model, other = Toy(0).train(training), Toy(1)
    before = [{k: v.clone() for k, v in toy.state_dict().items()} for toy in (model, other)]
    match(model, other, channel_groups(model), toy_data(5), alike=True)
    for toy, values in zip((model, other), before, strict=True):
        assert all(torch.equal(v, values[k]) for k, v in toy.state_dict().items())
        assert not any(m._forward_pre_hooks for m in toy.modules())
    assert model.training == training
    assert other.training


def test_activations_that_are_not_finite_are_told() -> None:
    model = Toy()
    with torch.no_grad():
        model.bn.bias[0] = torch.inf
    with pytest.raises(DivergedError, match="activations are not finite; use a smaller lr"):
        match(model, Toy(1), channel_groups(model), toy_data(5), alike=True)
