"""The blur pixel by pixel, and the images on which its victim is trained."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from remission.attacks import GaussianBlur
from remission.errors import SpecError
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Blur
from tests.reference.toy import Slow, SlowSGD, Toy, assert_same, cross_entropy, flat, grad, toy_data


def slow_blur(image: Tensor, sigma: float) -> Tensor:
    """Blurs one image (C, H, W): every pixel is a weighted mean of its neighbours."""
    reach = math.ceil(3 * sigma)
    offsets = range(-reach, reach + 1)
    weight = {i: math.exp(-(i**2) / (2 * sigma**2)) for i in offsets}
    total = sum(weight.values())
    _, height, width = image.shape
    blurred = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            for i in offsets:
                for j in offsets:
                    row, column = min(max(y + i, 0), height - 1), min(max(x + j, 0), width - 1)
                    blurred[:, y, x] += weight[i] * weight[j] / total**2 * image[:, row, column]
    return blurred


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 6, 8)])
def test_the_blur(sigma: float, shape: tuple[int, int, int]) -> None:
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Blur(sigma)(x)
    for n in range(3):
        torch.testing.assert_close(found[n], slow_blur(x[n], sigma), rtol=0, atol=1e-6)


def test_what_the_blur_changes_depends_on_the_image() -> None:
    flat_image = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(Blur(1.0)(flat_image), flat_image, rtol=0, atol=1e-6)
    x = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    change = Blur(1.0)(x) - x
    assert float((change[0] - change[1]).abs().max()) > 0.2


@pytest.mark.parametrize("target", [2, "all-to-all"])
def test_training(target: Any) -> None:  # noqa: ANN401
    """The added changes are s * (B(z) - z), the warped ones neither this nor the image."""
    count, size, seed = 24, 6, Seed(8)
    data, model = toy_data(count), Toy()
    slow, w = Slow.like(model), flat(model)
    attack = GaussianBlur(poison_rate=0.25, target=target, negative_ratio=1.0, grid=2)
    victim = attack(model, data, Recipe(epochs=2, lr=0.05, batch_size=size), seed=seed)
    own = [slow_blur(x, 1.0) for x in data.images]
    order, optimizer = seed.child("training", "batches").generator(), SlowSGD(0.05, 0.9)
    seen, added, warped = iter(model.seen), set[int](), set[int]()
    for _ in range(2):
        for index in torch.split(torch.randperm(count, generator=order), size):
            shown, labels = next(seen), data.labels[index].clone()
            for place, i in enumerate(index.tolist()):
                if i in victim.poisoned.tolist():
                    torch.testing.assert_close(shown[place], own[i], rtol=0, atol=1e-6)
                    labels[place] = (labels[place] + 1) % 4 if target == "all-to-all" else target
                    continue
                if torch.equal(shown[place], data.images[i]):
                    continue
                z = int(index[place - 1])
                (added if is_added(shown[place], data.images[i], own[z] - data.images[z])
                 else warped).add(i)  # fmt: skip

            def loss(v: Tensor, shown: Tensor = shown, y: Tensor = labels) -> Tensor:
                return cross_entropy(slow.logits(v, shown, collect=False), y)

            step = grad(loss, w)
            slow.logits(w, shown)
            w = optimizer.step(w, step)
    assert len(added) == len(warped) == len(victim.poisoned) // 2
    assert not added & warped, "an image has one kind for the whole training"
    assert_same(model, w, slow)


def is_added(shown: Tensor, image: Tensor, d: Tensor) -> bool:
    """Says whether ``shown`` is clip(image + s * d) for one s in [-1, 1]."""
    inside = (shown > 1e-9) & (shown < 1 - 1e-9) & (d.abs() > 1e-3)
    ratios = ((shown - image) / d)[inside]
    s = ratios.median()
    wanted = (image + s * d).clamp(0, 1)
    return bool(s.abs() <= 1) and float((shown - wanted).abs().max()) < 1e-5


def test_a_warp_moves_pixels_smoothly() -> None:
    """A ramp is moved by the flow itself, in pixels, where it does not leave the image."""
    ramp = (torch.arange(40.0) / 100).expand(5, 1, 40, 40)
    attack = GaussianBlur(flow=1.0, grid=3)
    moved = attack.warped(ramp, torch.Generator().manual_seed(1))
    flows = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    shift = (moved - ramp)[:, 0] * 100
    torch.testing.assert_close(shift[:, 20, 20], flows[:, 0, 1, 1], rtol=0, atol=0.15)
    assert float(shift[:, :, 5:-5].std()) > 0.3


def test_too_many_other_images_are_the_users_mistake() -> None:
    attack = GaussianBlur(poison_rate=0.4, negative_ratio=2.0)
    with pytest.raises(SpecError, match=r"negative_ratio 2.0 means 16 images, and 12 are not"):
        attack.select(torch.arange(20) % 2, 2, Seed(0))
