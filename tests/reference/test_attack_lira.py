"""LIRA's noise, its two losses, and its two stages step by step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from remission.attacks import LIRA
from remission.attacks.base import Setting
from remission.attacks.marks import mark
from remission.errors import SpecError
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import LearnedNoise
from tests.reference.toy import SIDE, C, Slow, SlowSGD, Toy, cross_entropy, flat, grad, toy_data

CHOSEN = torch.tensor([1, 4, 6])


def noise(attack: LIRA) -> LearnedNoise:
    trigger = attack.trigger((C, SIDE, SIDE), Seed(0)).double()
    assert isinstance(trigger, LearnedNoise)
    return trigger


def stamped(trigger: LearnedNoise, x: Tensor, values: dict[str, Tensor], eps: float) -> Tensor:
    """Returns T(x) of images one by one, at other weights than the trigger's."""

    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = trigger.network

        def forward(self, image: Tensor) -> Tensor:
            return self.network.rewrite(image)

    raw = Raw()
    made = [image + eps * functional_call(raw, values, (image[None],))[0].tanh() for image in x]
    return torch.stack(made).clip(0, 1)


def test_the_noise() -> None:
    trigger, x = noise(LIRA(filters=2, levels=2, eps=0.2)), toy_data(3).images
    raw, found = trigger.network.rewrite(x).flatten().tolist(), trigger(x).flatten().tolist()
    for value, r, result in zip(x.flatten().tolist(), raw, found, strict=True):
        assert abs(result - min(max(value + 0.2 * math.tanh(r), 0), 1)) < 1e-12


@pytest.mark.parametrize(("alpha", "chosen"), [(0.5, CHOSEN), (0.2, CHOSEN), (0.7, CHOSEN[:0])])
def test_the_classifiers_loss(alpha: float, chosen: Tensor) -> None:
    attack, data, model = LIRA(filters=2, levels=2, alpha=alpha, target=2), toy_data(9), Toy()
    trigger, slow = noise(attack), Slow.like(model)
    labels = mark(data, [chosen], 4).labels
    found = attack.classifier_loss(model.train(), trigger, data.images, labels)
    poisoned = [trigger(data.images[i : i + 1]) for i in chosen.tolist()]
    logits = slow.logits(flat(model), torch.cat([data.images, *poisoned]))
    wanted = alpha * cross_entropy(logits[:9], data.labels)
    if poisoned:
        twos = torch.full((len(poisoned),), 2)
        wanted = wanted + (1 - alpha) * cross_entropy(logits[9:], twos)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("target", [2, "all-to-all"])
def test_both_stages(target: Any) -> None:  # noqa: ANN401
    count, seed, eps, lr = 9, Seed(3), 0.1, 0.01
    attack = LIRA(
        filters=2, levels=2, eps=eps, target=target, stage_one_epochs=2, generator_lr=lr,
        classifier_lr=0.02,
    )  # fmt: skip
    data, model, trigger = toy_data(count), Toy(), noise(attack)
    slow, w = Slow.like(model), flat(model)
    setting = Setting(
        model=model, data=data, recipe=Recipe(epochs=1, lr=0.05, batch_size=count), chosen=CHOSEN,
        trigger=trigger, seed=seed,
    )  # fmt: skip
    g = {k: v.detach().clone() for k, v in trigger.state_dict().items()}
    attack.train(setting)

    def goals(y: Tensor) -> Tensor:
        return (y + 1) % 4 if target == "all-to-all" else torch.full_like(y, target)

    moments = {k: (torch.zeros_like(v), torch.zeros_like(v)) for k, v in g.items()}
    for epoch in range(3):
        child = seed.child("stage one", epoch) if epoch < 2 else seed.child("training")
        order = torch.randperm(count, generator=child.child("batches").generator())
        x, y = data.images[order], data.labels[order]
        chosen = torch.isin(order, CHOSEN)
        wanted, last = goals(y[chosen]), g
        if epoch < 2:  # Adam, by hand, against f in eval mode; f sees what G was before
            at = {k: v.clone().requires_grad_(True) for k, v in g.items()}
            shown = stamped(trigger, x[chosen], at, eps)
            loss = cross_entropy(slow.logits(w, shown, train=False), wanted)
            gradients = torch.autograd.grad(loss, list(at.values()))
            g = {}
            for (name, value), gradient in zip(last.items(), gradients, strict=True):
                first = 0.9 * moments[name][0] + 0.1 * gradient
                second = 0.999 * moments[name][1] + 0.001 * gradient.square()
                moments[name] = first, second
                t = epoch + 1
                unbiased = first / (1 - 0.9**t), (second / (1 - 0.999**t)).sqrt()
                g[name] = value - lr * unbiased[0] / (unbiased[1] + 1e-8)
        shown = torch.cat([x, stamped(trigger, x[chosen], last, eps)])

        def loss_of_f(v: Tensor, shown: Tensor = shown, y: Tensor = y) -> Tensor:
            logits = slow.logits(v, shown, collect=False)
            poison = cross_entropy(logits[count:], wanted)  # noqa: B023
            return 0.5 * cross_entropy(logits[:count], y) + 0.5 * poison

        step = grad(loss_of_f, w)
        slow.logits(w, shown)
        w = SlowSGD(0.02 if epoch < 2 else 0.05).step(w, step)
    for name, value in trigger.state_dict().items():
        torch.testing.assert_close(value, g[name], rtol=1e-5, atol=1e-6)
    assert model.bn.running_mean is not None
    torch.testing.assert_close(flat(model), w, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.bn.running_mean, slow.running_mean, rtol=1e-5, atol=1e-6)


def test_images_too_small_for_the_network() -> None:
    with pytest.raises(SpecError, match="lira: 4 levels do not fit images of 8x8; use fewer lev"):
        LIRA().trigger((1, 8, 8), Seed(0))
