"""The U-Net that rewrites an image (Ronneberger, Fischer, Brox, MICCAI 2015), as BTI-DBF uses it.

It normalises by instance, so that an image's result does not depend on the rest of its batch. The
last convolution is linear and has no activation behind it. Triggers and inversions share it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models import Precision, autocast


def _double_convolution(channels_in: int, channels: int) -> nn.Sequential:
    """Makes two 3x3 convolutions, each with instance normalisation and ReLU."""
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [
            nn.Conv2d(source, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A network from images to images of the same size, in [0, 1].

    Args:
        channels: C of the images.
        filters: channels of the first level; each further level has twice as many (32 in BTI-DBF).
        levels: number of resolutions, each half of the one before (4 in BTI-DBF).
        out: channels of the result; None: as many as the images have.
    """

    precision: Precision = "fp32"

    def __init__(self, channels: int, filters: int, levels: int, out: int | None = None) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            _double_convolution(before, width)
            for before, width in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _double_convolution(2 * width, width) for width in reversed(widths[:-1])
        )
        self.reduce = nn.ModuleList(
            nn.Conv2d(2 * width, width, 1) for width in reversed(widths[:-1])
        )
        self.out = nn.Conv2d(filters, out or channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> the same shape, clipped to [0, 1].

        Gradients pass through the clipping unchanged, so that black and white pixels can move.
        """
        with autocast(self.precision, images.device):
            raw = self.rewrite(images)
        raw = raw.to(images.dtype)
        return raw + (raw.clamp(0, 1) - raw).detach()

    def rewrite(self, x: Tensor) -> Tensor:
        """Returns the network's output before clipping, (N, out, H, W)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()  # the lowest level goes up itself
        for reduce, block in zip(self.reduce, self.up, strict=True):
            skip = skips.pop()
            x = reduce(F.interpolate(x, size=skip.shape[2:], mode="nearest"))
            x = block(torch.cat([skip, x], dim=1))
        out: Tensor = self.out(x)
        return out


def check_levels(shape: tuple[int, int, int], levels: int, name: str) -> None:
    """Raises SpecError if images of ``shape`` (C, H, W) are too small for so many levels.

    ``name`` says in the message which method has them.
    """
    if min(shape[1:]) // 2 ** (levels - 1) < 2:  # instance normalisation needs several pixels
        raise SpecError(
            f"{name}: {levels} levels do not fit images of {shape[1]}x{shape[2]}",
            "use fewer levels: the lowest one needs 2x2 pixels",
        )
