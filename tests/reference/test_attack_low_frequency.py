"""Low-frequency: the filter cosine by cosine, and a step of the perturbation, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn

from remission.attacks import LowFrequency
from remission.attacks.base import Setting
from remission.attacks.low_frequency import low_pass
from remission.errors import SpecError
from remission.models import build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages

SHAPE = (2, 9, 12)


def noise(number: int = 0) -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(number), dtype=torch.float64)


def cosine(u: int, i: int, points: int) -> float:
    scale = math.sqrt((1 if u == 0 else 2) / points)
    return scale * math.cos(math.pi * (2 * i + 1) * u / (2 * points))


def slow_low_pass(delta: torch.Tensor, frequencies: int) -> torch.Tensor:
    """Filters an image, coefficient by coefficient."""
    channels, rows, columns = delta.shape
    kept = torch.zeros_like(delta)
    for c in range(channels):
        for u in range(frequencies):
            for v in range(frequencies):
                wave = torch.tensor(
                    [
                        [cosine(u, i, rows) * cosine(v, j, columns) for j in range(columns)]
                        for i in range(rows)
                    ],
                    dtype=torch.float64,
                )
                kept[c] += (delta[c] * wave).sum() * wave
    return kept


def slow_smooth(delta: torch.Tensor, frequencies: int, epsilon: float) -> torch.Tensor:
    kept = slow_low_pass(delta, frequencies)
    return epsilon * (kept - kept.min()) / (kept.max() - kept.min())


@pytest.mark.parametrize("frequencies", [2, 4, 9])
def test_the_low_pass_filter(frequencies: int) -> None:
    found = low_pass(noise(), frequencies)
    torch.testing.assert_close(found, slow_low_pass(noise(), frequencies), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(low_pass(found, frequencies), found, rtol=1e-9, atol=1e-12)


def test_the_trigger_has_no_high_frequencies_and_keeps_its_bounds() -> None:
    attack = LowFrequency(frequencies=3, epsilon=0.15)
    pattern = attack.trigger(SHAPE, Seed(0)).pattern
    assert float(pattern.min()) == 0.0
    assert abs(float(pattern.max()) - 0.15) < 1e-7
    spectrum = np.abs(dctn(pattern.double().numpy(), axes=(1, 2), norm="ortho"))
    assert spectrum[:, :3, :3].max() > 0.1
    spectrum[:, :3, :3] = 0
    assert spectrum.max() < 1e-6
    other = attack.trigger(SHAPE, Seed(1)).pattern
    assert not torch.equal(pattern, other), "it begins as noise from the seed"


@pytest.mark.parametrize("target", [0, 2])
def test_the_perturbation_steps_down_the_loss_of_the_target(target: int) -> None:
    """One batch: Adam's first step is lr * sign of the gradient, then filter and stretch."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(10, *SHAPE, generator=generator)
    data = LabelledImages(images, torch.arange(10) % 3)
    model = build_model(
        "resnet18:2", classes=3, shape=SHAPE, mean=(0.5, 0.5), std=(0.3, 0.3), seed=Seed(5)
    )
    attack = LowFrequency(frequencies=3, epsilon=0.15, lr=0.02, target=target)
    trigger = attack.trigger(SHAPE, Seed(0))
    setting = Setting(
        model=model, data=data, recipe=Recipe(epochs=1, lr=0.05, batch_size=10),
        chosen=torch.tensor([1]), trigger=trigger, seed=Seed(0),
    )  # fmt: skip
    own = setting.surrogate().double()
    before = trigger.pattern.detach().double().requires_grad_(True)
    losses = [
        F.cross_entropy(own((x.double() + before).clamp(0, 1)[None]), torch.tensor([target]))
        for x in images
    ]
    (gradient,) = torch.autograd.grad(torch.stack(losses).mean(), before)
    assert float(gradient.abs().min()) > 1e-7, "Adam's step is the sign where this is not tiny"
    wanted = slow_smooth(before.detach() - 0.02 * gradient.sign(), 3, 0.15)
    attack.prepare(setting)
    torch.testing.assert_close(trigger.pattern.double(), wanted, rtol=0, atol=2e-4)
    assert float((wanted - before.detach()).abs().max()) > 5e-3, (
        "the step is larger than what may differ"
    )


def test_more_frequencies_than_pixels_are_the_users_mistake() -> None:
    with pytest.raises(SpecError, match="use at most 9 frequencies"):
        LowFrequency(frequencies=10).trigger(SHAPE, Seed(0))
