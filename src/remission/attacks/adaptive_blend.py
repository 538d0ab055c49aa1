"""Adaptive-Blend (Qi, Xie, Li, Mahloujifar, Mittal, ICLR 2023).

The blended trigger p is cut into pieces. A planted image x shows only a random part of them, m:

    x' = (1 - a m) * x + a m * p

A share of the planted images gets the attacker's label (the payload); the others keep their true
one (regularisation). So no single piece tells the model which images are planted, and their
features do not stand apart. The trigger at test time is whole and stronger.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.attacks.base import DirtyLabel, Setting, train_on
from remission.attacks.blended import Blended
from remission.attacks.poisoning import replace_images
from remission.data.picture import Picture
from remission.errors import SpecError
from remission.method import field, method
from remission.metrics import goals
from remission.seeding import Seed
from remission.training import Trained
from remission.triggers import Blend, Trigger


@method
class AdaptiveBlend(DirtyLabel):
    """Random parts of a blended trigger, some with true labels; the whole trigger at test time."""

    name: ClassVar[str] = "adaptive_blend"
    paper: ClassVar[str] = "Qi et al., ICLR 2023"

    alpha: float = field(default=0.2, gt=0, le=1)
    """Share of the pattern in the triggered image at test time (paper)."""
    image: Picture = ""
    """The pattern, which is resized; empty: uniform noise. In a spec the path of an image file,
    relative to the spec; in Python ``remission.data.image_uri(path)``."""
    planted_alpha: float = field(default=0.15, gt=0, le=1)
    """Share of the pattern in the pieces that a training image shows (paper)."""
    grid: int = field(default=4, ge=1, le=64)
    """Number of pieces along each side of the image (paper: 4, so 16 pieces)."""
    masked: float = field(default=0.5, ge=0, lt=1)
    """Share of the pieces that a planted image does not show (paper)."""
    conservatism: float = field(default=0.5, gt=0, le=1)
    """Share of the planted images that get the attacker's label; ``poison_rate`` counts these
    alone (the paper's conservatism ratio)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the whole pattern as it is blended at test time, that of :class:`Blended`."""
        return Blended(alpha=self.alpha, image=self.image).trigger(shape, seed)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the payload, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for it, or for the regularisation images.
        """
        chosen = super().select(labels, classes, seed)
        allowed = int(self.eligible(labels, classes).sum())
        if len(chosen) + self.regularisation(len(chosen)) > allowed:
            raise SpecError(
                f"conservatism {self.conservatism} asks for {self.regularisation(len(chosen))} "
                f"images beside {len(chosen)} poisoned ones, and {allowed} are {self.where}",
                "use a smaller poison_rate or a larger conservatism",
            )
        return chosen

    def regularisation(self, payload: int) -> int:
        """Returns the number of planted images that keep their label, beside a ``payload``."""
        return round(payload * (1 - self.conservatism) / self.conservatism)

    def train(self, setting: Setting) -> Trained:
        """Plants payload and regularisation images, then trains as the control is trained."""
        data, payload, seed = setting.data, setting.chosen, setting.seed.child("pieces")
        wanted = goals(data.labels, self.target, setting.model.classes)
        others = (wanted != data.labels).index_fill(0, payload, value=False).nonzero().flatten()
        order = torch.randperm(len(others), generator=seed.child("images").generator())
        order = order[: self.regularisation(len(payload))]
        planted = torch.cat([payload, others[order.to(others.device)]])

        assert isinstance(setting.trigger, Blend)
        pattern = setting.trigger.pattern
        shows = self.pieces(len(planted), seed)

        def plant(part: Tensor, images: Tensor) -> Tensor:
            shown = self.planted_alpha * self.masks(shows[part], data.shape).to(images.device)
            return (1 - shown) * images + shown * pattern.to(images.device)

        poisoned = replace_images(data, planted, plant)
        poisoned.labels[payload] = wanted[payload]
        return train_on(setting, poisoned)

    def pieces(self, count: int, seed: Seed) -> Tensor:
        """Draws the pieces that each of ``count`` images shows, (count, grid^2) bool."""
        ranks = torch.rand(count, self.grid**2, generator=seed.generator()).argsort(1).argsort(1)
        return ranks >= round(self.masked * self.grid**2)

    def masks(self, shows: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Returns m, (B, 1, H, W): 1 in the pieces that an image shows, 0 in the masked ones."""
        rows, columns = (torch.arange(side) * self.grid // side for side in shape[1:])
        piece = rows[:, None] * self.grid + columns  # (H, W), 0..grid^2-1
        return shows.float()[:, piece][:, None]
