"""Faint noise that a network makes for each image (Doan, Lao, Zhao, Li: LIRA, ICCV 2021)."""

from __future__ import annotations

from torch import Tensor

from remission.models import in_channels_last
from remission.triggers.base import Trigger
from remission.triggers.unet import UNet


class LearnedNoise(Trigger):
    """x' = x + eps * tanh(G(x)).

    Args:
        channels: C of the images.
        filters: channels of the first level of the network G.
        levels: number of resolutions of G.
        eps: the largest change of a pixel, in [0, 1].
    """

    def __init__(self, channels: int, filters: int, levels: int, eps: float) -> None:
        super().__init__()
        self.network = in_channels_last(UNet(channels, filters, levels))
        self.eps = eps

    def stamp(self, images: Tensor) -> Tensor:
        """Adds the noise that the network makes for each image."""
        return images + self.eps * self.network.rewrite(images).tanh()
