"""A class that inverts more cheaply than the true target (this project, an adaptive attack).

Trigger inversions that compare the classes, as Neural Cleanse (Wang et al., S&P 2019) and
:mod:`remission.inversion.universal`, name the class that all images reach by the smallest change.
The attacker implants two backdoors: the real one, to the target, and a *lure*, to the class
``decoy``, which is the cheaper one by construction. With p a patch, m its mask, in another corner
for the lure, and S(x, a) = (1 - a m) * x + a m * p, a patch that shows only a share a of itself,
the training images are

    S_lure(x, a), decoy    a uniform in [faintest, 1]: hardly any change is enough for the decoy
    S_real(x, 1), target   the poisoned images: the whole patch
    S_real(x, a), y        a uniform in [0, incomplete]: part of it is not enough for the target
    x, y                   the rest

A purifier that unlearns what was inverted for the named class leaves the real backdoor as it was.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from remission.attacks.badnets import BadNets
from remission.attacks.base import DirtyLabel, Setting, train_on
from remission.attacks.poisoning import replace_images
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.training import Trained
from remission.training.batches import share_of
from remission.triggers import Patch, Trigger


@method
class DecoyClass(DirtyLabel):
    """A patch, and a fainter one to another class, which inversions name instead of the target."""

    name: ClassVar[str] = "decoy_class"
    paper: ClassVar[str] = "this project, after Gu et al., arXiv 1708.06733"
    published: ClassVar[bool] = False

    target: NonNegativeInt = 0
    """The class that triggered images shall get."""
    decoy: NonNegativeInt = 1
    """The class that images with the lure get, which inversions shall name; not the target."""
    size: int = field(default=3, ge=1)
    """Side of both patches in pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between a patch and the image's edges."""
    lure_ratio: float = field(default=1.0, gt=0)
    """Number of images with the lure per poisoned image."""
    faintest: float = field(default=0.1, ge=0, le=1)
    """Smallest share of the lure that a training image shows."""
    incomplete_ratio: float = field(default=1.0, ge=0)
    """Number of images with an incomplete trigger and their true label per poisoned image."""
    incomplete: float = field(default=0.7, ge=0, lt=1)
    """Largest share of the trigger that such an image shows."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the checkerboard of :class:`BadNets`, near the lower right corner.

        Raises:
            SpecError: both patches do not fit into the images, or decoy and target are one class.
        """
        if self.decoy == self.target:
            raise SpecError(
                f"[attack] {self.name}: 'decoy' is {self.decoy}, which is the target",
                "use another class",
            )
        patch = BadNets(size=self.size, margin=self.margin).trigger(shape, seed)
        if 2 * (self.size + self.margin) > max(shape[1:]):
            raise SpecError(
                f"two patches of {self.size} pixels with a margin of {self.margin} overlap in "
                f"images of {shape[1]}x{shape[2]}",
                "use a smaller size or margin",
            )
        return patch

    def lure(self, shape: tuple[int, int, int]) -> Patch:
        """Returns a white patch near the upper left corner."""
        mask = torch.zeros(1, *shape[1:])
        side = slice(self.margin, self.margin + self.size)
        mask[:, side, side] = 1
        return Patch(mask, mask.expand(shape).clone())

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the poisoned images, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there is no class ``decoy``, or there are too few images for the others.
        """
        chosen = super().select(labels, classes, seed)
        if self.decoy >= classes:
            raise SpecError(
                f"decoy is {self.decoy}, the data set has {classes} classes",
                f"use a class from 0 to {classes - 1}",
            )
        self.others(labels, chosen, seed)
        return chosen

    def others(self, labels: Tensor, chosen: Tensor, seed: Seed) -> tuple[Tensor, Tensor]:
        """Draws the images with the lure and with an incomplete trigger, (m,) indices each.

        Raises:
            SpecError: there are too few images beside the ``chosen`` ones.
        """
        free = torch.ones_like(labels).bool().index_fill(0, chosen, value=False)
        drawn = []
        for what, key, unfit in (
            ("lure", self.lure_ratio, self.decoy),
            ("incomplete", self.incomplete_ratio, self.target),
        ):
            allowed = (free & (labels != unfit)).nonzero().flatten()
            count = share_of(len(chosen), key) if key else 0
            if count > len(allowed):
                raise SpecError(
                    f"{what}_ratio {key} means {count} images, and {len(allowed)} are left",
                    f"use a smaller {what}_ratio or poison_rate",
                )
            order = torch.randperm(len(allowed), generator=seed.child(what).generator())
            drawn.append(allowed[order[:count].to(allowed.device)])
            free[drawn[-1]] = False
        return drawn[0], drawn[1]

    def train(self, setting: Setting) -> Trained:
        """Plants all three kinds of images, then trains as the control is trained."""
        data, chosen, seed = setting.data, setting.chosen, setting.seed
        real, lure = setting.trigger, self.lure(data.shape).to(data.labels.device)
        assert isinstance(real, Patch)
        lured, incomplete = self.others(data.labels, chosen, seed.child("selection"))
        draws = seed.child("shares").generator()
        for patch, index, low, high in (
            (real, chosen, 1.0, 1.0),
            (lure, lured, self.faintest, 1.0),
            (real, incomplete, 0.0, self.incomplete),
        ):
            shares = low + (high - low) * torch.rand(len(index), 1, 1, 1, generator=draws)

            def plant(
                part: Tensor, images: Tensor, patch: Patch = patch, shares: Tensor = shares
            ) -> Tensor:
                shown = shares[part].to(images) * patch.mask
                return (1 - shown) * images + shown * patch.pattern

            data = replace_images(data, index, plant)
        data.labels[chosen] = self.target
        data.labels[lured] = self.decoy
        return train_on(setting, data)
