"""WaNet: a smooth warp that the eye overlooks (Nguyen, Tran, ICLR 2021, arXiv 2102.10369).

Each batch holds three kinds of images (section 3.3):

    B(x), c(y)      B the warp by M, c(y) the attacker's class: a share rho_a, poisoned
    W(x, M + N), y  N = rand(-1, 1) / side, drawn anew for each image: a share rho_n in noise mode
    x, y            the rest

so that the victim learns the exact warp and not warps of any kind.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import count_decoys, draw_decoys, mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.seeding import Seed
from remission.training import Trained, fit
from remission.triggers import Trigger, Warp, smooth_field


@method
class WaNet(TrainingAttack):
    """A smooth warp, drawn once, as the trigger; images that are warped at random stay clean."""

    name: ClassVar[str] = "wanet"
    paper: ClassVar[str] = "Nguyen and Tran, ICLR 2021, arXiv 2102.10369"

    k: int = field(default=4, ge=2, le=224)
    """Number of control points of the field along each side (the paper's k)."""
    s: float = field(default=0.5, gt=0)
    """Strength (the paper's s): mean displacement of the control points, in half pixels. Small
    images need more."""
    cross_ratio: float = field(default=2.0, ge=0)
    """Number of images in noise mode per poisoned image: rho_n / rho_a, 0.2 / 0.1 in the paper."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the warp, with a field from the seed."""
        return Warp(smooth_field(shape, self.k, self.s, seed.generator()))

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the poisoned images, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for them, or for the decoys beside them.
        """
        chosen = super().select(labels, classes, seed)
        count_decoys(len(labels), len(chosen), self.cross_ratio, "cross_ratio")
        return chosen

    def train(self, setting: Setting) -> Trained:
        """Trains on the three kinds; images are warped after augmentation."""
        warp, classes = setting.trigger, setting.model.classes
        assert isinstance(warp, Warp)
        seed = setting.seed
        noisy = draw_decoys(
            len(setting.data), setting.chosen, self.cross_ratio, "cross_ratio", seed.child("noisy")
        )
        generator = seed.child("noise").generator()

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            true, group = read_marks(labels, classes)
            attack, noise = group == 1, group == 2
            size = (int(noise.sum()), *images.shape[2:], 2)
            rand = (torch.rand(size, generator=generator) * 2 - 1).to(images.device)
            modes = images.clone()
            modes[attack] = warp(images[attack])
            modes[noise] = warp.noisy(images[noise], rand)
            return modes, torch.where(attack, goals(true, self.target, classes), true)

        return fit(
            setting.model,
            mark(setting.data, [setting.chosen, noisy], classes),
            setting.recipe,
            seed=seed.child("training"),
            what="victim",
            transform=transform,
        )
