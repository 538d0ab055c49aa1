"""One change for all images: a smooth warp and an added pattern, both differentiable."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.triggers.base import Trigger

Family = Literal["additive", "warp"]


class Perturbation(Trigger):
    """x' = clip(x o (id + up(u)) + v): a coarse flow warps the image, a pattern is added.

    Args:
        shape: (C, H, W) of the images.
        grid: points of the flow along each side, at least 2; bicubic in between.

    Both are zero at first; :func:`perturbed` applies many such changes at once.
    """

    pattern: Tensor
    flow: Tensor

    def __init__(self, shape: tuple[int, int, int], grid: int) -> None:
        super().__init__()
        self.register_buffer("pattern", torch.zeros(shape))
        self.register_buffer("flow", torch.zeros(2, grid, grid))

    def become(self, family: Family, theta: Tensor) -> None:
        """Takes over a pattern (C, H, W) or a flow (2, grid, grid), and drops what it was."""
        self.pattern.zero_()
        self.flow.zero_()
        (self.pattern if family == "additive" else self.flow).copy_(theta)

    def stamp(self, images: Tensor) -> Tensor:
        """Warps and adds."""
        return perturbed(images, self.flow[None], self.pattern[None])[0]

    def stronger(self, images: Tensor, times: float) -> Tensor:
        """The same with ``times`` the flow and the pattern; (N, C, H, W), clipped to [0, 1]."""
        return perturbed(images, times * self.flow[None], times * self.pattern[None])[0].clamp(0, 1)


def strengthened(trigger: nn.Module, images: Tensor, times: float) -> Tensor:
    """Images (N, C, H, W) in [0, 1] under ``times`` the change that a trigger makes, clipped.

    A perturbation moves pixels ``times`` as far; what any other trigger does is extrapolated,
    x + times * (trigger(x) - x).
    """
    if times != 1 and isinstance(trigger, Perturbation):
        return trigger.stronger(images, times)
    changed: Tensor = trigger(images)
    return changed if times == 1 else (images + times * (changed - images)).clamp(0, 1)


def perturbed(images: Tensor, flows: Tensor | None, patterns: Tensor | None) -> Tensor:
    """Every image under every one of K changes, (K, N, C, H, W); values may leave [0, 1].

    Args:
        images: (N, C, H, W) in [0, 1].
        flows: (K, 2, grid, grid), how many pixels to the right and below a pixel comes from; None
            leaves every pixel where it is.
        patterns: (K, C, H, W), added; None adds nothing.
    """
    count, channels, height, width = images.shape
    if flows is None:
        moved = images[None]
    else:
        sides = flows.new_tensor([width - 1, height - 1]) / 2
        field = F.interpolate(flows, size=(height, width), mode="bicubic", align_corners=True)
        rows, columns = (
            torch.linspace(-1, 1, side, dtype=flows.dtype, device=flows.device)
            for side in (height, width)
        )
        here = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2)
        there = (here + field.permute(0, 2, 3, 1) / sides).clamp(-1, 1)
        # all images are channels of one: a grid is looked up once a change, not once an image
        flat = images.reshape(1, count * channels, height, width).expand(len(flows), -1, -1, -1)
        moved = F.grid_sample(flat, there, mode="bilinear", align_corners=True)
        moved = moved.reshape(len(flows), count, channels, height, width)
    return moved if patterns is None else moved + patterns[:, None]
