"""Bypass: its two losses and the order of its steps against slow ones in float64."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.attacks import Bypass
from remission.attacks.bypass import discrimination_loss, discriminator, logits_and_features
from remission.models import Classifier, build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages, Target, as_float

SHAPE, CLASSES = (1, 8, 8), 3


def subject() -> Classifier:
    return build_model(
        "resnet18:2", classes=CLASSES, shape=SHAPE, mean=(0.5,), std=(0.3,), seed=Seed(1)
    )


def clean(count: int = 10) -> LabelledImages:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, *SHAPE), generator=generator).to(torch.uint8)
    return LabelledImages(images, torch.arange(count) % CLASSES)


def probability(judge: nn.Sequential, features: Tensor) -> list[float]:
    """Returns D(z), with batch norm by the statistics of the batch, neuron by neuron."""
    values = [[float(v) for v in row] for row in features.detach()]
    for layer in judge:
        if isinstance(layer, nn.Linear):
            rows = [[float(w) for w in neuron] for neuron in layer.weight.detach()]
            shifts = [float(b) for b in layer.bias.detach()]
            values = [
                [sum(w * v for w, v in zip(rows[k], row, strict=True)) + shifts[k]
                 for k in range(len(rows))]
                for row in values
            ]  # fmt: skip
        elif isinstance(layer, nn.BatchNorm1d):
            for k in range(layer.num_features):
                column = [row[k] for row in values]
                mean = sum(column) / len(column)
                spread = sum((v - mean) ** 2 for v in column) / len(column)
                for row in values:
                    scaled = (row[k] - mean) / math.sqrt(spread + layer.eps)
                    row[k] = scaled * float(layer.weight.detach()[k]) + float(
                        layer.bias.detach()[k]
                    )
        else:
            values = [[v if v > 0 else 0.2 * v for v in row] for row in values]
    return [1 / (1 + math.exp(-row[0])) for row in values]


def test_the_discriminators_loss() -> None:
    with Seed(0).initialising():
        judge = discriminator(4).double()
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    poisoned = [0, 1, 0, 0, 1, 0]
    wanted = 0.0
    for p, b in zip(probability(judge, features), poisoned, strict=True):
        wanted -= (b * math.log(p) + (1 - b) * math.log(1 - p)) / 6
    found = discrimination_loss(judge, features, torch.tensor(poisoned))
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-9)


def test_features_are_what_the_last_linear_layer_reads() -> None:
    model = subject().double().eval()
    x = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        logits, features = logits_and_features(model, x)
        pooled = model.features(x).double().mean((2, 3))  # this model averages over all places
        torch.testing.assert_close(features.double(), pooled, rtol=1e-6, atol=1e-9)
        last = model.final_linear
        wanted = features.double() @ last.weight.double().T + last.bias.double()
        torch.testing.assert_close(logits.double(), wanted, rtol=1e-6, atol=1e-9)
    assert not model.final_linear._forward_pre_hooks


def test_the_hook_goes_when_the_model_raises() -> None:
    model = subject()
    with pytest.raises(RuntimeError):
        logits_and_features(model, torch.rand(2, 5, 8, 8))
    assert not model.final_linear._forward_pre_hooks


@pytest.mark.parametrize("target", [0, "all-to-all"])
def test_a_step_of_the_discriminator_then_one_of_the_classifier(target: Target) -> None:
    """One batch, plain SGD: D moves first, then f moves against the new D."""
    weight, rate, lr = 3.0, 0.05, 0.02
    attack = Bypass(
        poison_rate=0.3, size=2, margin=0, weight=weight, lr=rate, target=target
    )  # fmt: skip
    data, seed, slow = clean(), Seed(5), subject().train()
    model = subject()
    recipe = Recipe(epochs=1, lr=lr, momentum=0.0, batch_size=10)
    victim = attack(model, data, recipe, seed=seed)

    with seed.child("discriminator").initialising():
        judge = discriminator(slow.final_linear.in_features)
    slow, judge = slow.double(), judge.double().train()
    order = torch.randperm(10, generator=seed.child("training").child("batches").generator())
    x, y = as_float(data.images).double()[order], data.labels[order].clone()
    poisoned = torch.tensor([int(n) in victim.poisoned.tolist() for n in order])
    for n in range(10):
        if poisoned[n]:
            x[n, 0, 6:, 6:] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
            y[n] = int(y[n] + 1) % CLASSES if target == "all-to-all" else target
    assert int(poisoned.sum()) == 3

    def apart(features: Tensor) -> Tensor:
        p = judge(features).sigmoid().flatten()
        return -torch.where(poisoned, p, 1 - p).log().mean()

    features = slow.features(x).double().mean((2, 3))
    fixed = copy.deepcopy(features.detach())
    for parameter, slope in zip(
        judge.parameters(), torch.autograd.grad(apart(fixed), list(judge.parameters())), strict=True
    ):
        parameter.data -= rate * slope
    logits = slow.final_linear(features)
    loss = F.cross_entropy(logits, y) - weight * apart(features)
    assert victim.trained.losses == pytest.approx([float(loss.detach())], rel=1e-4)
    slopes = torch.autograd.grad(loss, list(slow.parameters()))
    for (key, found), old, slope in zip(
        model.named_parameters(), slow.parameters(), slopes, strict=True
    ):
        error = (found.detach().double() - old.detach() + lr * slope).norm()
        # single precision behind a batch norm of ten values; a wrong sign would be an error of 2
        assert float(error) <= 0.02 * lr * float(slope.norm()) + 1e-6, key
