"""A patch over a part of the image (Gu, Dolan-Gavitt, Garg: BadNets, arXiv 1708.06733)."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.triggers.base import Trigger


class Patch(Trigger):
    """x' = (1 - m) * x + m * p.

    Args:
        mask: m, (1, H, W) in [0, 1].
        pattern: p, (C, H, W) in [0, 1].
    """

    mask: Tensor
    pattern: Tensor

    def __init__(self, mask: Tensor, pattern: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.register_buffer("pattern", pattern)

    def stamp(self, images: Tensor) -> Tensor:
        """Replaces the masked pixels."""
        return (1 - self.mask) * images + self.mask * self.pattern


def checkerboard(shape: tuple[int, int, int], size: int, margin: int) -> Patch:
    """Makes a black and white checkerboard near the lower right corner; its corners are white.

    Args:
        shape: (C, H, W) of the images.
        size: side of the patch in pixels.
        margin: pixels between the patch and the image's edges.
    """
    cells = torch.arange(size)
    board = ((cells[:, None] + cells[None, :]) % 2 == 0).float()
    return corner(shape, board.expand(shape[0], -1, -1), margin)


def corner(shape: tuple[int, int, int], picture: Tensor, margin: int) -> Patch:
    """Makes a patch near the lower right corner.

    Args:
        shape: (C, H, W) of the images.
        picture: what the patch shows, (C, size, size) in [0, 1].
        margin: pixels between the patch and the image's edges.
    """
    _, height, width = shape
    size = picture.shape[1]
    row, column = height - margin - size, width - margin - size
    assert row >= 0 <= column, f"a patch of {size} pixels does not fit into {height}x{width}"
    mask, pattern = torch.zeros(1, height, width), torch.zeros(shape)
    mask[:, row : row + size, column : column + size] = 1
    pattern[:, row : row + size, column : column + size] = picture
    return Patch(mask, pattern)
