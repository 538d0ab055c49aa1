"""SIG: the sinusoid pixel by pixel, in training and at test time."""

from __future__ import annotations

import math

import pytest
import torch

from remission.attacks import SIG
from remission.attacks.base import Setting
from remission.errors import SpecError
from remission.models import build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages


def some_images(shape: tuple[int, int, int]) -> LabelledImages:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, *shape), generator=generator).to(torch.uint8)
    return LabelledImages(images, torch.tensor([2, 0, 2, 1, 2, 2]))


def signal(j: int, columns: int, delta: float, frequency: int) -> float:
    """Returns the signal in 255ths, with j counted from 1."""
    return delta * math.sin(2 * math.pi * j * frequency / columns)


@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 12, 17)])
@pytest.mark.parametrize(("delta", "frequency", "gain"), [(20.0, 3, 1.0), (90.0, 1, 1.7)])
def test_the_sinusoid(
    shape: tuple[int, int, int], delta: float, frequency: int, gain: float
) -> None:
    data, chosen = some_images(shape), torch.tensor([0, 4])
    attack = SIG(delta=delta, frequency=frequency, test_gain=gain, target=2)
    trigger = attack.trigger(shape, Seed(0))
    model = build_model("resnet18:2", classes=3, shape=shape, mean=(0.5,) * shape[0],
                        std=(0.3,) * shape[0])  # fmt: skip
    setting = Setting(
        model=model, data=data, recipe=Recipe(epochs=1, lr=0.1), chosen=chosen, trigger=trigger,
        seed=Seed(0),
    )  # fmt: skip
    crafted = attack.craft(setting)(data.floats(chosen))
    shown = trigger(data.floats(torch.arange(6)))
    x, (channels, rows, columns) = data.images.double(), shape
    for c in range(channels):
        for i in range(rows):
            for j in range(columns):
                v = signal(j + 1, columns, delta, frequency)
                for n in range(6):
                    wanted = min(max(float(x[n, c, i, j]) + gain * v, 0), 255) / 255
                    assert abs(float(shown[n, c, i, j]) - wanted) < 1e-6, (n, c, i, j)
                for place, n in enumerate([0, 4]):
                    wanted = min(max(float(x[n, c, i, j]) + v, 0), 255) / 255
                    assert abs(float(crafted[place, c, i, j]) - wanted) < 1e-6, (n, c, i, j)


@pytest.mark.parametrize(("columns", "frequency"), [(12, 6), (12, 7), (13, 7)])
def test_a_sinusoid_that_the_pixels_cannot_show(columns: int, frequency: int) -> None:
    with pytest.raises(SpecError, match="a frequency below half the images' width"):
        SIG(frequency=frequency).trigger((1, 16, columns), Seed(0))
