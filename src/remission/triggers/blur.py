"""A Gaussian blur: what it changes depends on the image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.triggers.base import Trigger


class Blur(Trigger):
    """x' = k * x along rows and columns, with k(i) proportional to exp(-i^2 / 2 sigma^2).

    The edge pixels are repeated outside of the image. An image of one colour does not change.

    Args:
        sigma: standard deviation of the Gaussian in pixels.
    """

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        reach = math.ceil(3 * sigma)
        i = torch.arange(-reach, reach + 1, dtype=torch.float64)
        k = torch.exp(-i.square() / (2 * sigma**2))
        self.register_buffer("kernel", (k / k.sum()).float())

    def stamp(self, images: Tensor) -> Tensor:
        """Blurs each channel of each image."""
        channels, reach = images.shape[1], len(self.kernel) // 2
        k = self.kernel.to(images.dtype).expand(channels, 1, 1, -1)
        padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
        rows = F.conv2d(padded, k, groups=channels)
        return F.conv2d(rows, k.transpose(2, 3), groups=channels)
