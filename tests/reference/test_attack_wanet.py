"""WaNet's field, its warp and its three modes, pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from remission.attacks import WaNet
from remission.errors import SpecError
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Warp, smooth_field
from tests.reference.toy import (
    SIDE,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    toy_data,
)


def cubic(distance: float) -> float:
    """Returns the kernel of cubic convolution (Keys, 1981) with a = -3/4."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def enlarged(points: Tensor, height: int, width: int) -> Tensor:
    """Enlarges (k, k) to (height, width), bicubic, with fixed corners."""
    k = len(points)
    out = torch.zeros(height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            y, x = i * (k - 1) / (height - 1), j * (k - 1) / (width - 1)
            for row in range(math.floor(y) - 1, math.floor(y) + 3):
                for column in range(math.floor(x) - 1, math.floor(x) + 3):
                    value = points[min(max(row, 0), k - 1), min(max(column, 0), k - 1)]
                    out[i, j] += cubic(y - row) * cubic(x - column) * value
    return out


@pytest.mark.parametrize(("k", "s", "shape"), [(4, 0.5, (1, 9, 9)), (2, 3.0, (3, 7, 12))])
def test_the_field(k: int, s: float, shape: tuple[int, int, int]) -> None:
    found = smooth_field(shape, k, s, Seed(3).generator())
    p = (torch.rand(1, 2, k, k, generator=Seed(3).generator()) * 2 - 1)[0].double()
    p = p / (sum(abs(v) for v in p.flatten().tolist()) / p.numel())
    wanted = torch.zeros(*shape[1:], 2, dtype=torch.float64)
    for axis, side in enumerate((shape[2], shape[1])):  # to the right, below
        wanted[:, :, axis] = s * enlarged(p[axis], *shape[1:]) / side
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """Returns the (C,) values between the pixels around (y, x)."""
    height, width = image.shape[1:]
    value = torch.zeros(len(image), dtype=torch.float64)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if row < height and column < width:
                value += (1 - abs(y - row)) * (1 - abs(x - column)) * image[:, row, column]
    return value


def warped(image: Tensor, field: Tensor) -> Tensor:
    """Returns x'(p) = x(clip(p + M(p), -1, 1)) of one image."""
    height, width = image.shape[1:]
    out = torch.zeros_like(image)
    for i in range(height):
        for j in range(width):
            x = min(max(2 * j / (width - 1) - 1 + float(field[i, j, 0]), -1.0), 1.0)
            y = min(max(2 * i / (height - 1) - 1 + float(field[i, j, 1]), -1.0), 1.0)
            out[:, i, j] = bilinear(image, (y + 1) / 2 * (height - 1), (x + 1) / 2 * (width - 1))
    return out


def test_the_warp() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 2, 6, 8, generator=generator, dtype=torch.float64)
    field = torch.rand(6, 8, 2, generator=generator, dtype=torch.float64) - 0.5
    found = Warp(field)(x)
    for image, result in zip(x, found, strict=True):
        torch.testing.assert_close(result, warped(image, field), rtol=1e-9, atol=1e-9)
    assert torch.equal(Warp(torch.zeros(6, 8, 2))(x).round(decimals=12), x.round(decimals=12))


@pytest.mark.parametrize("target", [1, "all-to-all"])
def test_training_on_the_three_modes(target: Any) -> None:  # noqa: ANN401
    count, batch, seed = 23, 6, Seed(5)
    data, model = toy_data(count), Toy()
    slow, w = Slow.like(model), flat(model)
    attack = WaNet(poison_rate=0.2, target=target, s=2.0, cross_ratio=1.5)
    recipe = Recipe(epochs=2, lr=0.05, momentum=0.9, batch_size=batch)
    victim = attack(model, data, recipe, seed=seed)
    assert isinstance(victim.trigger, Warp)
    field = victim.trigger.field.double()

    order = seed.child("training", "batches").generator()
    noise = seed.child("noise").generator()
    optimizer, batches, noisy = SlowSGD(0.05, 0.9), iter(model.seen), [set[int](), set[int]()]
    for epoch in range(2):
        for index in torch.split(torch.randperm(count, generator=order), batch):
            shown, labels, others = next(batches), [], []
            for image, i in zip(shown, index.tolist(), strict=True):
                label = int(data.labels[i])
                if i in victim.poisoned.tolist():
                    label = (label + 1) % 4 if target == "all-to-all" else target
                    exact = warped(data.images[i], field)
                    torch.testing.assert_close(image, exact, rtol=0, atol=1e-6)
                elif not torch.equal(image, data.images[i]):
                    others.append((image, i))
                labels.append(label)
            rand = torch.rand(len(others), SIDE, SIDE, 2, generator=noise).double() * 2 - 1
            for (image, i), n in zip(others, rand, strict=True):
                exact = warped(data.images[i], field + n / SIDE)
                torch.testing.assert_close(image, exact, rtol=0, atol=1e-6)
                noisy[epoch].add(i)
            y = torch.tensor(labels)

            def loss(v: Tensor, shown: Tensor = shown, y: Tensor = y) -> Tensor:
                return cross_entropy(slow.logits(v, shown, collect=False), y)

            step = grad(loss, w)
            slow.logits(w, shown)  # the running statistics, once
            w = optimizer.step(w, step)
    assert len(victim.poisoned) == 5
    assert noisy[0] == noisy[1], "the same images in every epoch"
    assert len(noisy[0]) == round(1.5 * 5)
    assert_same(model, w, slow)


def test_too_many_images_in_noise_mode() -> None:
    with pytest.raises(SpecError, match=r"cross_ratio 4\.0 means 20 images, and 18 are not pois"):
        WaNet(poison_rate=0.2, cross_ratio=4.0)(
            Toy(), toy_data(23), Recipe(epochs=1, lr=0.1), seed=Seed(0)
        )
