"""A smooth warp of the image (Nguyen, Tran: WaNet, ICLR 2021, arXiv 2102.10369, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.triggers.base import Trigger


class Warp(Trigger):
    """x'(p) = x(clip(p + M(p), -1, 1)), bilinear; p and M in units of half the image's sides.

    Args:
        field: M, (H, W, 2): from how far to the right and how far below a pixel is taken.
    """

    field: Tensor

    def __init__(self, field: Tensor) -> None:
        super().__init__()
        self.register_buffer("field", field)

    def stamp(self, images: Tensor) -> Tensor:
        """Warps by M."""
        return self.warp(images, self.field.expand(len(images), -1, -1, -1))

    def noisy(self, images: Tensor, noise: Tensor) -> Tensor:
        """Warps by M' = M + noise / (W, H), the noise mode.

        Args:
            images: (N, C, H, W) in [0, 1].
            noise: (N, H, W, 2) in [-1, 1], drawn for each image.
        """
        height, width = self.field.shape[:2]
        return self.warp(images, self.field + noise / noise.new_tensor([width, height]))

    def warp(self, images: Tensor, fields: Tensor) -> Tensor:
        """Warps each of (N, C, H, W) images by its own field of (N, H, W, 2)."""
        height, width = images.shape[2:]
        rows, columns = (
            torch.linspace(-1, 1, side, dtype=images.dtype, device=images.device)
            for side in (height, width)
        )
        points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2)
        sources = (points + fields.to(images.dtype)).clamp(-1, 1)
        return F.grid_sample(images, sources, mode="bilinear", align_corners=True)


def smooth_field(
    shape: tuple[int, int, int], k: int, s: float, generator: torch.Generator
) -> Tensor:
    """M = s * up(P / mean|P|) / (W, H), (H, W, 2), with P uniform in [-1, 1] on a k x k grid.

    Args:
        shape: (C, H, W) of the images.
        k: number of control points along each side.
        s: mean displacement of the control points, in half pixels.
        generator: the source of P.
    """
    _, height, width = shape
    points = torch.rand(1, 2, k, k, generator=generator) * 2 - 1
    points = points / points.abs().mean()
    up = F.interpolate(points, size=(height, width), mode="bicubic", align_corners=True)
    return s * up[0].permute(1, 2, 0) / torch.tensor([width, height])
