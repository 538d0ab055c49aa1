"""TrojanNN: the mask, the chosen neurons, and the optimisation, against a slow float64 version."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.attacks import TrojanNN
from remission.attacks.base import Setting
from remission.attacks.trojannn import activations, most_connected
from remission.models import Classifier, build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages

SHAPE = (2, 10, 12)


def made(attack: TrojanNN) -> Setting:
    images = torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(1))
    model = build_model(
        "resnet18:2", classes=3, shape=SHAPE, mean=(0.5, 0.5), std=(0.3, 0.3), seed=Seed(5)
    )
    return Setting(
        model=model, data=LabelledImages(images, torch.arange(10) % 3),
        recipe=Recipe(epochs=2, lr=0.05, batch_size=5), chosen=torch.tensor([1]),
        trigger=attack.trigger(SHAPE, Seed(0)), seed=Seed(0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("area", "height", "width"), [(0.07, 3, 3), (0.3, 5, 7), (0.001, 1, 1), (1.0, 10, 12)]
)
@pytest.mark.parametrize("transparency", [0.0, 0.7])
def test_the_mask(area: float, height: int, width: int, transparency: float) -> None:
    trigger = TrojanNN(area=area, transparency=transparency).trigger(SHAPE, Seed(0))
    x = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = trigger(x)
    for i in range(10):
        for j in range(12):
            wanted = x[:, :, i, j]
            if i >= 10 - height and j >= 12 - width:
                p = trigger.pattern[:, i, j]
                wanted = transparency * wanted + (1 - transparency) * p
            torch.testing.assert_close(found[:, :, i, j], wanted)


def slow_most_connected(model: Classifier, count: int) -> list[int]:
    weight = model.final_linear.weight.detach().double()
    strength = [sum(abs(float(row[d])) for row in weight) for d in range(weight.shape[1])]
    return sorted(range(len(strength)), key=lambda d: -strength[d])[:count]


@pytest.mark.parametrize("count", [1, 3])
def test_the_most_connected_neurons(count: int) -> None:
    model = made(TrojanNN()).model
    assert most_connected(model, count).tolist() == slow_most_connected(model, count)
    assert len(most_connected(model, 10_000)) == model.final_linear.in_features


def test_the_activations_are_what_the_last_layer_is_given() -> None:
    setting = made(TrojanNN())
    model, x = setting.model.eval(), setting.data.images
    found = activations(model, x)
    torch.testing.assert_close(model.final_linear(found), model(x))
    torch.testing.assert_close(found, model.features(x).mean((2, 3)))
    assert not model.final_linear._forward_pre_hooks


def slow_optimise(
    own: Classifier, attack: TrojanNN, pattern: Tensor, mask: Tensor, images: Tensor
) -> Tensor:
    """Optimises in float64, image by image; returns every pattern and its cost."""
    p, m, seen = pattern.double(), mask.double(), []
    neurons = slow_most_connected(own, attack.neurons)
    own.double()
    for _ in range(attack.steps):
        p = p.detach().requires_grad_(True)
        cost = torch.zeros((), dtype=torch.float64)
        for x in images.double():
            features = own.features(((1 - m) * x + m * p)[None])[0].mean((1, 2))
            for t in neurons:
                cost = cost + (attack.target_value - features[t]) ** 2 / len(images)
        (gradient,) = torch.autograd.grad(cost, p)
        seen.append((float(cost.detach()), p.detach()))
        p = (p.detach() - attack.lr * gradient.sign() * (m > 0)).clamp(0, 1)
    return min(seen, key=lambda pair: pair[0])[1]


@pytest.mark.parametrize("transparency", [0.0, 0.5])
def test_the_optimisation(transparency: float) -> None:
    attack = TrojanNN(
        area=0.2, steps=4, images=10, lr=0.03, target_value=10.0, transparency=transparency
    )
    setting = made(attack)
    before = setting.trigger.state_dict()["pattern"].clone()
    mask = setting.trigger.state_dict()["mask"]
    wanted = slow_optimise(setting.surrogate(), attack, before, mask, setting.data.images)
    attack.prepare(setting)
    after = setting.trigger.state_dict()["pattern"]
    torch.testing.assert_close(after.double(), wanted, rtol=0, atol=1e-6)
    assert float((after - before).abs().max()) > 0.02
