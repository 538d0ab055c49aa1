"""Blended: a fixed image laid over the whole picture (Chen et al., arXiv 1712.05526)."""

from __future__ import annotations

from typing import ClassVar

import torch

from remission.attacks.base import DirtyLabel
from remission.method import field, method
from remission.seeding import Seed
from remission.triggers import Blend, Trigger


@method
class Blended(DirtyLabel):
    """Uniform noise, drawn once, blended over the image; poisoned labels, all to one."""

    name: ClassVar[str] = "blended"
    paper: ClassVar[str] = "Chen et al., arXiv 1712.05526"

    alpha: float = field(default=0.2, gt=0, le=1)
    """Share of the noise in the triggered image (0.2 in the paper and in BackdoorBench)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Noise of the images' shape, from the seed."""
        return Blend(torch.rand(shape, generator=seed.generator()), self.alpha)
