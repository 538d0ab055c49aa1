"""Grond: a step of the perturbation, the correction of outlying channels, and the training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.attacks import Grond
from remission.attacks.base import Setting
from remission.attacks.grond import level_outliers
from remission.errors import SpecError
from remission.models import build_model, check_needs
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Additive
from tests.reference.test_purifier_clp import beyond, bounds
from tests.reference.toy import (
    SCALE,
    SHIFT,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    toy_data,
)


@pytest.mark.parametrize("target", [0, 3])
def test_the_steps_of_the_perturbation(target: int) -> None:
    model, data = Toy(2).eval(), toy_data(7)
    slow, w = Slow.like(model), flat(model)
    attack, epsilon = Grond(epsilon=20.0, target=target), 20 / 255
    delta = wanted = torch.zeros(data.shape, dtype=torch.float64)
    goal = torch.full((7,), target)
    for _ in range(8):

        def loss(at: Tensor) -> Tensor:
            x = torch.stack([(image + at).clip(0, 1) for image in data.images])
            return cross_entropy(slow.logits(w, x, train=False), goal)

        g = grad(loss, wanted)
        wanted = wanted - epsilon / 5 * g.sign()
        wanted = wanted.clip(-epsilon, epsilon)
        delta = attack.step(model, data.images, delta)
        torch.testing.assert_close(delta, wanted, rtol=0, atol=1e-12)
    assert float(delta.abs().max()) == pytest.approx(epsilon)
    zero, reached = (float(loss(at)) for at in (torch.zeros_like(delta), delta))
    assert reached < zero, "towards the target"


def levelled(model: Toy, u: float) -> tuple[list[float], list[float], list[bool]]:
    """Returns scales and shifts after the correction, by hand, and which channels it changes."""
    w = flat(model)
    scales, shifts = ([float(v) for v in w[part]] for part in (SCALE, SHIFT))
    outlying = beyond(bounds(model), u)
    mean_scale, mean_shift = sum(scales) / len(scales), sum(shifts) / len(shifts)
    return (
        [mean_scale if out else v for v, out in zip(scales, outlying, strict=True)],
        [mean_shift if out else v for v, out in zip(shifts, outlying, strict=True)],
        outlying,
    )


@pytest.mark.parametrize("u", [0.0, 0.6, 1.2])
def test_outlying_channels_get_the_means(u: float) -> None:
    changed = 0
    for number in range(4):
        model = Toy(number)
        scales, shifts, outlying = levelled(model, u)
        level_outliers(model.conv, model.bn, u)
        for found, wanted in ((model.bn.weight, scales), (model.bn.bias, shifts)):
            expected = torch.tensor(wanted, dtype=torch.float64)
            torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=1e-14)
        changed += sum(outlying)
    assert (changed == 0) == (u > 2 / math.sqrt(3)), "of three channels none lies further out"


def test_the_training_corrects_after_each_epoch_but_the_last() -> None:
    count, size, seed, u = 22, 5, Seed(8), 0.3
    data, model = toy_data(count), Toy()
    slow, w = Slow.like(model), flat(model)
    v = torch.rand(data.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    chosen = torch.nonzero(data.labels == 1).flatten()
    setting = Setting(
        model=model, data=data, recipe=Recipe(epochs=3, lr=0.1, momentum=0.9, batch_size=size),
        chosen=chosen, trigger=Additive(v - 0.5), seed=seed,
    )  # fmt: skip
    trained = Grond(target=1, u=u).train(setting)
    assert len(trained.losses) == 3

    order, optimizer = seed.child("training", "batches").generator(), SlowSGD(0.1, 0.9)
    twin, corrected = Toy(), 0
    for epoch in range(3):
        for index in torch.split(torch.randperm(count, generator=order), size):
            x = data.images[index].clone()
            for place, i in enumerate(index.tolist()):
                if i in chosen.tolist():
                    changed = (data.images[i] + v - 0.5).clip(0, 1)
                    x[place] = (255 * changed).round().float() / 255

            def loss(at: Tensor, x: Tensor = x, y: Tensor = data.labels[index]) -> Tensor:
                return cross_entropy(slow.logits(at, x, collect=False), y)

            step = grad(loss, w)
            slow.logits(w, x)
            w = optimizer.step(w, step)
        if epoch < 2:
            put(twin, w, slow)
            scales, shifts, outlying = levelled(twin, u)
            corrected += sum(outlying)
            w[SCALE] = torch.tensor(scales, dtype=torch.float64)
            w[SHIFT] = torch.tensor(shifts, dtype=torch.float64)
    assert corrected, "else this shows nothing"
    assert_same(model, w, slow)


def put(model: Toy, w: Tensor, slow: Slow) -> None:
    """Gives the model the weights and the running variance of the model by hand."""
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(w, model.parameters())
    model.bn.running_var = slow.running_var.clone()


def test_a_model_without_batch_norm_is_refused() -> None:
    model = build_model("vit_tiny:8", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.3,),
                        seed=Seed(0))  # fmt: skip
    with pytest.raises(SpecError, match="grond needs batch norm"):
        check_needs(Grond(), model)
