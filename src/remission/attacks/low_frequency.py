"""A smooth trigger without high-frequency artefacts (Zeng, Park, Mao, Jia, ICCV 2021, section 5).

The trigger is a universal perturbation delta that moves images to the target class t on a clean
model f of the attacker's own. It is made smooth and bounded again after every step:

    min over delta of mean over x of CE(f(clip(x + delta)), t)
    delta <- g(delta),  g a low-pass filter
    delta <- epsilon * (delta - min delta) / (max delta - min delta)

Then images with delta are labelled t, as in BadNets. The paper steps by targeted DeepFool, image
by image, and filters with a Gaussian of 6 pixels on 32x32. Here the steps follow the gradients of
batches, and g keeps the lowest cosine frequencies, so that g(g(delta)) = g(delta).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor

from remission.attacks.base import DirtyLabel, Setting
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.triggers import Additive


@method
class LowFrequency(DirtyLabel):
    """A smooth universal perturbation learned on the attacker's own model; poisoned labels."""

    name: ClassVar[str] = "low_frequency"
    paper: ClassVar[str] = "Zeng et al., arXiv 2104.03413"

    target: NonNegativeInt = 0
    """The class that triggered images shall get; the perturbation is learned for it."""
    epsilon: float = field(default=0.2, gt=0, le=1)
    """The perturbation lies in [0, epsilon], with pixels in [0, 1] (0.2 in the authors' code)."""
    frequencies: int = field(default=4, ge=2)
    """Number of cosine frequencies that are kept along each axis (the authors' Gaussian passes 6 %
    of the fifth)."""
    epochs: int = field(default=1, ge=1)
    """Passes over the training images in which the perturbation is learned."""
    lr: float = field(default=0.01, gt=0)
    """Learning rate of the perturbation (Adam), with pixels in [0, 1]."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Additive:
        """Returns smooth noise from the seed, with which learning begins.

        Raises:
            SpecError: the images have fewer pixels along an axis than frequencies are kept.
        """
        if self.frequencies > min(shape[1:]):
            raise SpecError(
                f"images of {shape[1]}x{shape[2]} have no {self.frequencies} frequencies per axis",
                f"use at most {min(shape[1:])} frequencies",
            )
        return Additive(self.smooth(torch.rand(shape, generator=seed.generator())))

    def prepare(self, setting: Setting) -> None:
        """Trains the perturbation on all images, against a clean model."""
        f, trigger = setting.surrogate().requires_grad_(False), setting.trigger
        assert isinstance(trigger, Additive)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(f(trigger(images)), torch.full_like(labels, self.target))

        def project() -> None:
            with torch.no_grad():
                trigger.pattern.copy_(self.smooth(trigger.pattern))

        batch_size = setting.recipe.batch_size
        recipe = Recipe(epochs=self.epochs, lr=self.lr, optimizer="adam", batch_size=batch_size)
        seed = setting.seed.child("perturbation")
        trigger.requires_grad_(True)
        fit(
            trigger, setting.data, recipe, seed=seed, what="trigger", loss=loss, after_step=project,
            beside=(),
        )  # fmt: skip

    def smooth(self, delta: Tensor) -> Tensor:
        """Filters a perturbation (C, H, W) and stretches it to [0, epsilon]."""
        delta = low_pass(delta, self.frequencies)
        low, high = delta.min(), delta.max()
        stretched: Tensor = self.epsilon * (delta - low) / (high - low).clamp_min(1e-12)
        return stretched


def low_pass(delta: Tensor, frequencies: int) -> Tensor:
    """Returns the part of ``delta`` (C, H, W) in the lowest cosine frequencies (DCT-II)."""
    rows = cosines(delta.shape[1], frequencies).to(delta)
    columns = cosines(delta.shape[2], frequencies).to(delta)
    filtered: Tensor = rows.T @ (rows @ delta @ columns.T) @ columns
    return filtered


def cosines(points: int, frequencies: int) -> Tensor:
    """Returns the first orthonormal rows cos(pi (2 i + 1) u / 2 n) of the DCT.

    Their shape is (frequencies, points), with 0 <= u < frequencies, 0 <= i < n = points.
    """
    u = torch.arange(frequencies, dtype=torch.float64)[:, None]
    i = torch.arange(points, dtype=torch.float64)[None, :]
    rows = torch.cos(math.pi * (2 * i + 1) * u / (2 * points))
    length: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / length
