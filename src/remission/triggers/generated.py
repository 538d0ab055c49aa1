"""A pattern and a mask that networks make for each image (Nguyen, Tran, arXiv 2010.08138)."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.models import in_channels_last
from remission.triggers.base import Trigger
from remission.triggers.unet import UNet


class Generated(Trigger):
    """x' = (1 - m(x)) * x + m(x) * g(x).

    The pattern is g(x) = tanh(G(x)) / 2 + 1/2. The mask, one for all channels, is
    m(x) = tanh(20 u - 10) / 2 + 1/2 with u = tanh(M(x)) / 2 + 1/2.

    Args:
        channels: C of the images.
        filters: channels of the first level of the networks G and M.
        levels: number of resolutions of both.
    """

    def __init__(self, channels: int, filters: int, levels: int) -> None:
        super().__init__()
        self.patterns = in_channels_last(UNet(channels, filters, levels))
        self.masks = in_channels_last(UNet(channels, filters, levels, out=1))

    def stamp(self, images: Tensor) -> Tensor:
        """Merges each image with its own pattern in its own mask."""
        return self.merge(images, self.pattern(images), self.mask(images))

    def pattern(self, images: Tensor) -> Tensor:
        """Returns g(x), (N, C, H, W) in [0, 1]."""
        return self.patterns.rewrite(images).tanh() / 2 + 0.5

    def mask(self, images: Tensor) -> Tensor:
        """Returns m(x), (N, 1, H, W) in [0, 1], nearly binary."""
        return torch.tanh(10 * self.masks.rewrite(images).tanh()) / 2 + 0.5

    @staticmethod
    def merge(images: Tensor, patterns: Tensor, masks: Tensor) -> Tensor:
        """(1 - m) * x + m * g, for any patterns g (N, C, H, W) and masks m (N, 1, H, W)."""
        return (1 - masks) * images + masks * patterns
