"""The input-aware attack's trigger, its losses, and one step of its joint training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from remission.attacks import InputAware
from remission.attacks.base import Setting
from remission.attacks.input_aware import diversity_loss
from remission.errors import SpecError
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Generated
from remission.types import LabelledImages
from tests.reference.toy import (
    SIDE,
    C,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    toy_data,
)

ATTACK = InputAware(poison_rate=0.3, filters=2, levels=2, target=1, lambda_div=0.3)


def networks(attack: InputAware = ATTACK) -> Generated:
    trigger = attack.trigger((C, SIDE, SIDE), Seed(0)).double()
    assert isinstance(trigger, Generated)
    return trigger


def test_the_trigger() -> None:
    trigger, x = networks().requires_grad_(False), toy_data(3).images
    raw, raw_mask = trigger.patterns.rewrite(x), trigger.masks.rewrite(x)
    found = trigger(x)
    assert raw_mask.shape == (3, 1, SIDE, SIDE)
    for n in range(3):
        for i in range(SIDE):
            for j in range(SIDE):
                u = math.tanh(float(raw_mask[n, 0, i, j])) / 2 + 0.5
                m = math.tanh(20 * u - 10) / 2 + 0.5
                for c in range(C):
                    g = math.tanh(float(raw[n, c, i, j])) / 2 + 0.5
                    wanted = (1 - m) * float(x[n, c, i, j]) + m * g
                    assert abs(float(found[n, c, i, j]) - wanted) < 1e-12


def root_mean_square(values: Tensor) -> float:
    return math.sqrt(sum(v * v for v in values.flatten().tolist()) / values.numel())


def slow_diversity(x: Tensor, z: Tensor, of_x: Tensor, of_z: Tensor) -> float:
    ratios = [
        root_mean_square(a - b) / (root_mean_square(c - d) + 1e-7)
        for a, b, c, d in zip(x, z, of_x, of_z, strict=True)
    ]
    return sum(ratios) / len(ratios)


def test_the_diversity_loss() -> None:
    x, z = toy_data(4).images, toy_data(4, seed=2).images
    a, b = x.square(), z.sqrt()[:, :1].expand_as(x) * 0.5
    assert abs(float(diversity_loss(x, z, a, b)) - slow_diversity(x, z, a, b)) < 1e-12
    a = a.clone().requires_grad_(True)
    diversity_loss(x, z, a, a.detach()).backward()  # type: ignore[no-untyped-call]
    assert a.grad is not None
    assert bool(torch.isfinite(a.grad).all()), "also where both are the same"


@pytest.mark.parametrize(("density", "norm", "div"), [(0.032, 100.0, 1.0), (0.6, 3.0, 0.5)])
def test_the_mask_loss(density: float, norm: float, div: float) -> None:
    attack = InputAware(mask_density=density, lambda_norm=norm, lambda_div=div)
    x = toy_data(5).images
    m = networks().mask(x).detach()
    over = [max(0.0, v - density) for v in m.flatten().tolist()]
    z = [4, 0, 1, 2, 3]  # the image before each
    wanted = norm * sum(over) / len(over) + div * slow_diversity(x, x[z], m, m[z])
    assert abs(float(attack.mask_loss(x, m)) - wanted) < 1e-9


@pytest.mark.parametrize("target", [1, "all-to-all"])
def test_a_step_of_the_joint_training(target: Any) -> None:  # noqa: ANN401
    count, seed = 14, Seed(3)
    attack = InputAware(
        poison_rate=0.3, cross_ratio=0.5, filters=2, levels=2, target=target, lambda_div=0.3
    )
    data, model, trigger = toy_data(count), Toy(), networks()
    slow, w = Slow.like(model), flat(model)
    chosen = torch.tensor([0, 3, 8, 9])
    setting = Setting(
        model=model, data=data, recipe=Recipe(epochs=1, lr=0.05, batch_size=count), chosen=chosen,
        trigger=trigger, seed=seed,
    )  # fmt: skip
    old = {k: v.detach().clone() for k, v in trigger.state_dict().items()}
    attack.train(setting)

    order = torch.randperm(count, generator=seed.child("training", "batches").generator())
    (shown,) = model.seen
    x, labels = data.images[order], data.labels[order].clone()
    own = [k for k in range(count) if int(order[k]) in chosen.tolist()]
    crossed = [k for k in range(count) if k not in own and not torch.equal(shown[k], x[k])]
    assert len(crossed) == 2
    for k in own:
        labels[k] = (labels[k] + 1) % 4 if target == "all-to-all" else target
    names = [k for k in old if k.startswith("patterns.")]
    values = {k: old[k].clone().requires_grad_(True) for k in names}

    def made(image: Tensor) -> tuple[Tensor, Tensor]:
        """Returns G(x) and m(x) of one image, at ``values``."""
        inner = {k.removeprefix("patterns."): v for k, v in values.items()}

        class Raw(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = trigger.patterns

            def forward(self, image: Tensor) -> Tensor:
                return self.net.rewrite(image)

        raw = functional_call(Raw(), {f"net.{k}": v for k, v in inner.items()}, (image[None],))
        return raw[0].tanh() / 2 + 0.5, trigger.mask(image[None])[0].detach()

    seen, patterns, other_patterns = [], [], []
    for k in range(count):
        g, m = made(x[k] if k in own else x[k - 1])
        patterns += [g] if k in own else []
        other_patterns += [g] if k in crossed else []
        seen.append((1 - m) * x[k] + m * g if k in own + crossed else x[k])
    torch.testing.assert_close(shown, torch.stack(seen).detach(), rtol=0, atol=1e-9)

    div = torch.zeros((), dtype=torch.float64)
    for k, z, g, h in zip(own, crossed, patterns, other_patterns, strict=False):  # as many as fit
        apart = root_mean_square(x[k] - x[z - 1])
        div = div + apart / ((g - h).square().mean().sqrt() + 1e-7) / len(crossed)
    logits = slow.logits(w, torch.stack(seen), collect=False)
    loss = cross_entropy(logits, labels) + 0.3 * div
    gradients = torch.autograd.grad(loss, list(values.values()))
    now = trigger.state_dict()
    for name, gradient in zip(names, gradients, strict=True):
        # the first step of Adam: the sign of the gradient, where it is not next to 0
        wanted = old[name] - 0.01 * gradient / (gradient.abs() + 1e-8)
        clear = gradient.abs() > 1e-6
        torch.testing.assert_close(now[name][clear], wanted[clear], rtol=1e-6, atol=1e-7)
    assert any(bool((g.abs() > 1e-6).any()) for g in gradients)
    assert all(torch.equal(now[k], old[k]) for k in old if k.startswith("masks."))

    step = grad(lambda v: cross_entropy(slow.logits(v, shown, collect=False), labels), w)
    slow.logits(w, shown)
    assert_same(model, SlowSGD(0.05).step(w, step), slow)


def test_masks_are_trained_first_and_by_themselves() -> None:
    attack = InputAware(filters=2, levels=2, mask_epochs=30, mask_density=0.1, lambda_div=0.01)
    trigger = networks(attack)
    data = LabelledImages(toy_data(20).images, torch.zeros(20, dtype=torch.int64))
    setting = Setting(
        model=Toy(), data=data, recipe=Recipe(epochs=1, lr=1.0, batch_size=10),
        chosen=torch.tensor([0]), trigger=trigger, seed=Seed(0),
    )  # fmt: skip
    before = [p.detach().clone() for p in trigger.patterns.parameters()]
    with torch.no_grad():
        first = attack.mask_loss(data.images, trigger.mask(data.images))
    attack.prepare(setting)
    assert float(attack.mask_loss(data.images, trigger.mask(data.images))) < 0.5 * float(first)
    assert all(torch.equal(a, b) for a, b in zip(before, trigger.patterns.parameters()))  # noqa: B905
    assert not any(p.requires_grad for p in trigger.masks.parameters())


def test_images_too_small_for_the_networks() -> None:
    with pytest.raises(SpecError, match="input_aware: 4 levels do not fit images of 8x8; use fewe"):
        InputAware().trigger((1, 8, 8), Seed(0))
