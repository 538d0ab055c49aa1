"""Two U-Nets that rewrite an image (Ronneberger, Fischer, Brox, MICCAI 2015).

Both normalise by instance, so that an image's result does not depend on the rest of its batch, and
end in a linear convolution without an activation. :class:`UNet` is small, and triggers and
inversions share it; :class:`BottleneckUNet` is the generator of BTI-DBF as it was published.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models import Precision, autocast


def _double_convolution(
    channels_in: int, channels: int, activation: type[nn.ReLU | nn.LeakyReLU] = nn.ReLU
) -> nn.Sequential:
    """Makes two 3x3 convolutions, each with instance normalisation and an activation."""
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [
            nn.Conv2d(source, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            activation(inplace=True),
        ]
    return nn.Sequential(*layers)


class ImageNetwork(nn.Module, ABC):
    """A network from images to images of the same size, in [0, 1]."""

    precision: Precision = "fp32"

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> the same shape, clipped to [0, 1].

        Gradients pass through the clipping unchanged, so that black and white pixels can move.
        """
        with autocast(self.precision, images.device):
            raw = self.rewrite(images)
        raw = raw.to(images.dtype)
        return raw + (raw.clamp(0, 1) - raw).detach()

    @abstractmethod
    def rewrite(self, x: Tensor) -> Tensor:
        """Returns the network's output before clipping, (N, out, H, W)."""


class UNet(ImageNetwork):
    """A U-Net that enlarges by repeating pixels and then halves the channels.

    Args:
        channels: C of the images.
        filters: channels of the first level; each further level has twice as many.
        levels: number of resolutions, each half of the one before.
        out: channels of the result; None: as many as the images have.
    """

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


class BottleneckUNet(ImageNetwork):
    """The generator of BTI-DBF: a bottleneck below its levels, and transposed convolutions.

    On its way down, each level has two 3x3 convolutions, whose result is halved in size by max
    pooling. The bottleneck has two more, with twice as many channels as the lowest level. On its
    way up, a 3x3 transposed convolution doubles the size and keeps the channels, the level's result
    from the way down is appended, and two 3x3 convolutions bring the channels down to the level's.
    Activations are leaky ReLU; all but the transposed convolutions are normalised by instance.

    With 32 filters, 4 levels and 3 channels it has 11.0 million parameters. The authors' module
    counts 14.1 million: it also holds one 3x3 convolution per level for another way of enlarging,
    which it never applies, and biases that the normalisation takes away. Sides that a level cannot
    halve are rounded up, where the authors' network accepts no such images.

    Args:
        channels: C of the images.
        filters: channels of the first level; each further level has twice as many (the paper: 32).
        levels: number of levels above the bottleneck (the paper: 4).
    """

    def __init__(self, channels: int, filters: int, levels: int) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _double_convolution(before, width, nn.LeakyReLU)
            for before, width in zip([channels, *widths], widths, strict=False)
        )
        below = list(reversed(widths))
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(width, width, 3, stride=2, padding=1) for width in below[:-1]
        )
        self.up = nn.ModuleList(
            _double_convolution(lower + width, width, nn.LeakyReLU)
            for lower, width in pairwise(below)
        )
        self.out = nn.Conv2d(filters, channels, 1)

    def rewrite(self, x: Tensor) -> Tensor:
        """Returns the network's output before clipping, (N, C, H, W)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2, ceil_mode=True))
            skips.append(x)
        skips.pop()  # the bottleneck goes up itself
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            x = F.leaky_relu(enlarge(x, output_size=list(skip.shape[2:])))
            x = block(torch.cat([x, skip], dim=1))
        out: Tensor = self.out(x)
        return out


def check_levels(
    shape: tuple[int, int, int], levels: int, name: str, *, bottleneck: bool = False
) -> None:
    """Raises SpecError if images of ``shape`` (C, H, W) are too small for so many levels.

    ``name`` says in the message which method has them, and ``bottleneck`` whether its network is a
    :class:`BottleneckUNet`.
    """
    side = min(shape[1:])
    lowest = -(-side // 2**levels) if bottleneck else side // 2 ** (levels - 1)
    if lowest < 2:  # instance normalisation needs several pixels
        more, place = (" and a bottleneck", "bottleneck") if bottleneck else ("", "lowest one")
        raise SpecError(
            f"{name}: {levels} levels{more} do not fit images of {shape[1]}x{shape[2]}",
            f"use fewer levels: the {place} needs 2x2 pixels",
        )
