"""A message hidden in the image by a network (Li et al., ICCV 2021, arXiv 2012.03816).

As in the encoder of StegaStamp (Tancik, Mildenhall, Ng, CVPR 2020), the network reads the image and
the message, which is spread over the image. Its output is added: the change depends on the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models import in_channels_last
from remission.triggers.base import Trigger
from remission.triggers.unet import UNet

_CELL = 8
"""Side in pixels of a cell of the spread message (StegaStamp: 50 x 50 cells of 400 x 400)."""


class Steganography(Trigger):
    """x' = x + e * tanh(U(x, s)), s the bits that are hidden, U a network.

    Args:
        shape: (C, H, W) of the images.
        code: s, (bits,) zeros and ones: the message of the trigger.
        filters: channels of U's first level, and of the spread message.
        levels: number of resolutions of U.
        bound: e, the largest change of a pixel, in (0, 1].
    """

    code: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        code: Tensor,
        *,
        filters: int,
        levels: int,
        bound: float,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.register_buffer("code", code)
        self.cells = (filters, -(-height // _CELL), -(-width // _CELL))
        self.spread = nn.Linear(len(code), filters * self.cells[1] * self.cells[2])
        self.network = in_channels_last(UNet(channels + filters, filters, levels, out=channels))
        self.bound = bound

    def stamp(self, images: Tensor) -> Tensor:
        """Hides the code in every image."""
        return self.hide(images, self.code.expand(len(images), -1))

    def hide(self, images: Tensor, messages: Tensor) -> Tensor:
        """Hides another message in each image; values may leave [0, 1].

        Args:
            images: x, (N, C, H, W) in [0, 1].
            messages: s, (N, bits) zeros and ones.
        """
        cells = self.spread(messages - 0.5).relu().view(-1, *self.cells)
        message = F.interpolate(cells, size=images.shape[2:], mode="nearest")
        residual = self.network.rewrite(torch.cat([images - 0.5, message], dim=1))
        return images + self.bound * residual.tanh()
