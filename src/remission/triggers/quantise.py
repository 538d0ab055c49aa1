"""Fewer levels per channel (Wang, Zhai, Ma: BppAttack, CVPR 2022, arXiv 2205.13383)."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.triggers.base import Trigger


class Quantise(Trigger):
    """x' = round(x * (L - 1)) / (L - 1), with diffused rounding errors if ``dithering``.

    An image that has only those levels already, for example a black and white one, does not change.

    Args:
        levels: L, the number of values that are left per channel, evenly from 0 to 1.
        dithering: whether to diffuse the errors (Floyd, Steinberg, 1976), in each channel alone.
    """

    def __init__(self, levels: int, dithering: bool) -> None:
        super().__init__()
        self.levels = levels
        self.dithering = dithering

    @torch.no_grad()
    def stamp(self, images: Tensor) -> Tensor:
        """Quantises; no gradient flows through the rounding."""
        if self.dithering:
            return dither(images, self.levels)
        return (images * (self.levels - 1)).round() / (self.levels - 1)


def dither(images: Tensor, levels: int) -> Tensor:
    """Dithers (N, C, H, W) images in [0, 1] to ``levels`` values, as Floyd and Steinberg do.

    Row by row from the left, each pixel is rounded to the nearest level. Of its error 7/16 go to
    the pixel on the right and 3/16, 5/16 and 1/16 to the pixels below: left, straight, right. Pixel
    (y, x) depends only on pixels with a smaller x + 2 y. So all pixels with x + 2 y = t, of all
    images, are rounded at once, in W + 2 (H - 1) steps.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[:, None].expand(height, width)
    steps = torch.arange(width, device=images.device) + 2 * rows
    total = width + 2 * (height - 1)
    # waves[t, y] is the pixel (y, t - 2 y); errors that leave the image go to entries never read
    waves = images.new_zeros(total + 3, height + 1, *images.shape[:2])
    waves[steps, rows] = (images * (levels - 1)).permute(2, 3, 0, 1)
    for t in range(total):
        first, end = max(0, -((width - 1 - t) // 2)), min(height, t // 2 + 1)
        old = waves[t, first:end]
        new = old.round()
        error = (old - new) / 16
        waves[t, first:end] = new
        waves[t + 1, first + 1 : end + 1] += error * 3
        waves[t + 1, first:end] += error * 7
        waves[t + 2, first + 1 : end + 1] += error * 5
        waves[t + 3, first + 1 : end + 1] += error
    return waves[steps, rows].permute(2, 3, 0, 1) / (levels - 1)
