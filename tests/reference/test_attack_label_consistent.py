"""Label-consistent: the patches pixel by pixel, projected gradient descent in float64."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks import LabelConsistent
from remission.attacks.base import Setting
from remission.errors import SpecError
from remission.models import Classifier, build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages

SHAPE = (2, 9, 12)
LOWER_RIGHT = ["##.", "#.#", ".#."]
"""# is black, . is white, as the authors' code has it; the left side is its mirror image."""
Norm = Literal["l2", "linf"]


def a_model() -> Classifier:
    return build_model(
        "resnet18:2", classes=3, shape=SHAPE, mean=(0.5, 0.5), std=(0.3, 0.3), seed=Seed(5)
    )


def some_images() -> Tensor:
    return torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1))


def sign_at(i: int, j: int, corners: str) -> int:
    """Returns what the patch adds at row i, column j: 1, -1 or 0."""
    rows, columns = SHAPE[1:]
    below, right = i >= rows - 3, j >= columns - 3
    if not (below or i < 3) or not (right or j < 3):
        return 0
    if corners == "lower_right" and not (below and right):
        return 0
    row = i - (rows - 3) if below else i
    column = j - (columns - 3) if right else 2 - j
    return -1 if LOWER_RIGHT[row][column] == "#" else 1


@pytest.mark.parametrize("corners", ["all", "lower_right"])
@pytest.mark.parametrize("amplitude", [1.0, 0.25])
def test_the_patches(corners: Literal["all", "lower_right"], amplitude: float) -> None:
    x = some_images()
    found = LabelConsistent(corners=corners, test_amplitude=amplitude).trigger(SHAPE, Seed(0))(x)
    for i in range(SHAPE[1]):
        for j in range(SHAPE[2]):
            wanted = (x[:, :, i, j] + amplitude * sign_at(i, j, corners)).clamp(0, 1)
            torch.testing.assert_close(found[:, :, i, j], wanted)


def test_a_mirrored_trigger_is_the_same_trigger() -> None:
    """So flips in training do not weaken it."""
    pattern = LabelConsistent().trigger(SHAPE, Seed(0)).pattern
    assert torch.equal(pattern.flip(2), pattern)


def slow_perturb(
    f: Classifier, x0: Tensor, y: int, norm: str, epsilon: float, steps: int
) -> Tensor:
    """Perturbs one image, (C, H, W) float64."""
    x = x0.clone()
    for _ in range(steps):
        x.requires_grad_(True)
        (g,) = torch.autograd.grad(F.cross_entropy(f(x[None]), torch.tensor([y])), x)
        x = x.detach()
        if norm == "linf":
            x = x + 2.5 * epsilon / steps * g.sign()
            x = torch.minimum(torch.maximum(x, x0 - epsilon), x0 + epsilon)
        else:
            x = x + 2.5 * epsilon / steps * g / g.square().sum().sqrt()
            distance = (x - x0).square().sum().sqrt()
            if distance > epsilon:
                x = x0 + (x - x0) * epsilon / distance
        x = x.clamp(0, 1)
    return x


@pytest.mark.parametrize(("norm", "epsilon"), [("l2", 200.0), ("linf", 16.0)])
@pytest.mark.parametrize("steps", [1, 4])
def test_projected_gradient_descent(norm: Norm, epsilon: float, steps: int) -> None:
    f, x = a_model().eval().double(), some_images().double()
    y = torch.arange(8) % 3
    attack = LabelConsistent(norm=norm, epsilon=epsilon)
    found = attack.perturb(f, x, y, steps)
    for n in range(8):
        wanted = slow_perturb(f, x[n], int(y[n]), norm, epsilon / 255, steps)
        torch.testing.assert_close(found[n], wanted, rtol=0, atol=1e-7)
    moved = (found - x).flatten(1)
    size = moved.norm(dim=1) if norm == "l2" else moved.abs().amax(1)
    assert float(size.max()) < epsilon / 255 + 1e-9
    assert float(size.min()) > 0.5 * epsilon / 255
    with torch.inference_mode():
        assert float(F.cross_entropy(f(found), y)) > float(F.cross_entropy(f(x), y))


def setting_of(attack: LabelConsistent) -> Setting:
    data = LabelledImages((some_images() * 255).to(torch.uint8), torch.arange(8) % 3)
    return Setting(
        model=a_model(), data=data, recipe=Recipe(epochs=2, lr=0.05, batch_size=4),
        chosen=torch.tensor([1, 4, 7]), trigger=attack.trigger(SHAPE, Seed(0)), seed=Seed(0),
    )  # fmt: skip


def test_poisoned_images_are_perturbed_and_carry_the_reduced_patches() -> None:
    attack = LabelConsistent(target=1, steps=3, amplitude=0.2, robust_steps=0)
    setting = setting_of(attack)
    own, x = setting.surrogate(), setting.data.floats(setting.chosen)
    hard = attack.perturb(own, x, torch.tensor([1, 1, 1]), 3)
    crafted = attack.craft(setting)(x)
    for i in range(SHAPE[1]):
        for j in range(SHAPE[2]):
            wanted = (hard[:, :, i, j] + 0.2 * sign_at(i, j, "all")).clamp(0, 1)
            torch.testing.assert_close(crafted[:, :, i, j], wanted, rtol=0, atol=1e-5)


def test_the_surrogate_is_trained_on_perturbed_images() -> None:
    """Each batch is perturbed against the current model, in eval mode."""
    attack, seen = LabelConsistent(robust_steps=2), []

    def perturb(f: Classifier, images: Tensor, labels: Tensor) -> Tensor:
        assert not f.training
        changed = attack.perturb(f, images, labels, 2)
        seen.append((images, changed))
        return changed

    setting = setting_of(attack)
    robust, clean = setting.surrogate(perturb), setting.surrogate()
    assert len(seen) == 4, "two batches in each of two epochs"
    assert all(float((a - b).abs().max()) > 1e-3 for a, b in seen)
    assert not robust.training
    key = "conv1.weight"
    assert not torch.equal(robust.state_dict()[key], clean.state_dict()[key])


def test_images_smaller_than_two_patches() -> None:
    with pytest.raises(SpecError, match="overlap in images of 5x12"):
        LabelConsistent().trigger((1, 5, 12), Seed(0))
