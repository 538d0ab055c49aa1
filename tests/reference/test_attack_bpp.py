"""BppAttack's dithering pixel by pixel, its negatives, and the victim's training images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from remission.attacks import Bpp
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Quantise, dither
from tests.reference.toy import Slow, SlowSGD, Toy, assert_same, cross_entropy, flat, grad, toy_data


def floyd_steinberg(image: Tensor, levels: int) -> Tensor:
    """Dithers one channel (H, W) in [0, 1], pixel by pixel, to levels of 1 / (levels - 1)."""
    height, width = image.shape
    rest = [[float(v) * (levels - 1) for v in row] for row in image]
    for i in range(height):
        for j in range(width):
            old = rest[i][j]
            rest[i][j] = float(round(old))  # to the nearest, halves to the even one, as torch does
            error = old - rest[i][j]
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if i + down < height and 0 <= j + right < width:
                    rest[i + down][j + right] += error * share / 16
    return torch.tensor(rest, dtype=torch.float64) / (levels - 1)


@pytest.mark.parametrize("levels", [2, 3, 8, 32])
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 5, 9), (1, 2, 9, 4), (1, 1, 1, 7)])
def test_dithering(shape: tuple[int, ...], levels: int) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = dither(x, levels)
    for n in range(shape[0]):
        for c in range(shape[1]):
            torch.testing.assert_close(
                found[n, c], floyd_steinberg(x[n, c], levels), rtol=0, atol=1e-12
            )
    assert torch.equal(Quantise(levels, True)(x), found)


def test_dithering_in_fp32_of_8_bit_images() -> None:
    """The rounding errors of fp32 change the level of hardly any pixel."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(256, (4, 1, 28, 28), generator=generator).float() / 255
    found = dither(x, 8).double()
    wanted = torch.stack([floyd_steinberg(image[0].double(), 8)[None] for image in x])
    assert float(((found - wanted).abs() > 1e-6).double().mean()) < 0.01
    together = dither(x, 8)
    assert all(torch.equal(dither(x[i : i + 1], 8), together[i : i + 1]) for i in range(4))


def test_dithering_keeps_the_mean_and_quantising_does_not() -> None:
    x = torch.full((1, 1, 40, 40), 0.05)
    assert float(Quantise(8, False)(x).max()) == 0.0
    assert abs(float(Quantise(8, True)(x).mean()) - 0.05) < 0.005


@pytest.mark.parametrize("levels", [2, 8])
def test_quantising(levels: int) -> None:
    x = toy_data(3).images
    found = Quantise(levels, False)(x)
    for value, result in zip(x.flatten().tolist(), found.flatten().tolist(), strict=True):
        nearest = min(range(levels), key=lambda k: abs(value - k / (levels - 1)))
        assert abs(result - nearest / (levels - 1)) < 1e-12


@pytest.mark.parametrize("target", [2, "all-to-all"])
def test_training_with_residuals(target: Any) -> None:  # noqa: ANN401
    count, size, seed = 22, 5, Seed(8)
    data, model = toy_data(count), Toy()
    slow, w = Slow.like(model), flat(model)
    attack = Bpp(poison_rate=0.25, target=target, squeeze_num=4, negative_ratio=0.6)
    victim = attack(model, data, Recipe(epochs=2, lr=0.05, batch_size=size), seed=seed)
    own = [torch.stack([floyd_steinberg(c, 4) for c in x]) for x in data.images]
    order, optimizer = seed.child("training", "batches").generator(), SlowSGD(0.05, 0.9)
    negatives, seen = set[int](), iter(model.seen)
    for _ in range(2):
        for index in torch.split(torch.randperm(count, generator=order), size):
            shown, labels = next(seen), data.labels[index].clone()
            for place, i in enumerate(index.tolist()):
                wanted = data.images[i]
                if i in victim.poisoned.tolist():
                    wanted = own[i].clip(0, 1)
                    labels[place] = (labels[place] + 1) % 4 if target == "all-to-all" else target
                elif not torch.equal(shown[place], wanted):
                    negatives.add(i)
                    z = int(index[place - 1])  # the first has the last
                    change = own[z].clip(0, 1) - data.images[z]
                    wanted = (wanted + change).clip(0, 1)
                torch.testing.assert_close(shown[place], wanted, rtol=0, atol=1e-12)

            def loss(v: Tensor, shown: Tensor = shown, y: Tensor = labels) -> Tensor:
                return cross_entropy(slow.logits(v, shown, collect=False), y)

            step = grad(loss, w)
            slow.logits(w, shown)
            w = optimizer.step(w, step)
    assert len(negatives) == round(0.6 * len(victim.poisoned))
    assert_same(model, w, slow)


@pytest.mark.parametrize("steps", [1, 4])
def test_adversarial_negatives(steps: int) -> None:
    model, data = Toy().train(), toy_data(5)
    slow, w = Slow.like(model), flat(model)
    wanted = (data.labels + 1) % 4
    found = Bpp(squeeze_num=6, steps=steps).adversarial(model, data.images, wanted)
    d, r = torch.zeros_like(data.images), 0.5 / 5
    for _ in range(steps):

        def loss(d: Tensor) -> Tensor:
            return cross_entropy(slow.logits(w, (data.images + d).clip(0, 1), train=False), wanted)

        d = (d - 2.5 * r / steps * grad(loss, d).sign()).clip(-r, r)
    torch.testing.assert_close(found, d, rtol=0, atol=1e-9)
    assert float(found.abs().max()) <= r
    assert model.training
    before, after = (
        float(cross_entropy(slow.logits(w, x.clip(0, 1), train=False), wanted))
        for x in (data.images, data.images + found)
    )
    assert after < before, "towards the attacker's class"


def test_training_with_adversarial_negatives() -> None:
    """Negatives stay within half a level, and the model's statistics are those of its batches."""
    data, model = toy_data(22), Toy()
    attack = Bpp(poison_rate=0.25, squeeze_num=4, negatives="adversarial", steps=2)
    victim = attack(model, data, Recipe(epochs=1, lr=1e-9, batch_size=22), seed=Seed(8))
    shown = model.seen[-1]  # the attack's own passes came before
    order = torch.randperm(22, generator=Seed(8).child("training", "batches").generator())
    changes = (shown - data.images[order]).abs().amax((1, 2, 3))
    poisoned = torch.isin(order, victim.poisoned)
    negative = (changes > 0) & ~poisoned
    assert int(negative.sum()) == len(victim.poisoned)
    torch.testing.assert_close(float(changes[negative].max()), 0.5 / 3)
    slow = Slow.like(Toy())
    slow.logits(flat(Toy()), shown)
    assert model.bn.running_mean is not None
    torch.testing.assert_close(model.bn.running_mean, slow.running_mean, rtol=1e-6, atol=1e-9)
