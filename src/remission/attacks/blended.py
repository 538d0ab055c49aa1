"""Blended: one image, blended over every image as a whole (Chen et al., arXiv 1712.05526)."""

from __future__ import annotations

from typing import ClassVar

import torch

from remission.attacks.base import DirtyLabel
from remission.data.picture import Picture, image_pixels
from remission.method import field, method
from remission.seeding import Seed
from remission.triggers import Blend, Trigger


@method
class Blended(DirtyLabel):
    """Noise that is drawn once, or any picture, blended over the whole image; poisoned labels."""

    name: ClassVar[str] = "blended"
    paper: ClassVar[str] = "Chen et al., arXiv 1712.05526"

    alpha: float = field(default=0.2, gt=0, le=1)
    """Share of the pattern in the triggered image (0.2 in the paper and in BackdoorBench)."""
    image: Picture = ""
    """The pattern, which is resized; empty: uniform noise. In a spec the path of an image file,
    relative to the spec; in Python ``remission.data.image_uri(path)``."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the picture, or noise from the seed, in the shape of the images."""
        if self.image:
            return Blend(image_pixels(self.image, shape), self.alpha)
        return Blend(torch.rand(shape, generator=seed.generator()), self.alpha)
