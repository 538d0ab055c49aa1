"""One change for all images, a smooth warp and an added pattern; both are differentiable."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.triggers.base import Trigger

Family = Literal["additive", "warp"]


class WarpAndAdd(Trigger):
    """x' = clip(x o (id + up(u)) + v): a coarse flow warps the image, a pattern is added.

    Args:
        shape: (C, H, W) of the images.
        grid: number of points of the flow u along each side, at least 2; bicubic in between.

    Flow and pattern v are zero at first. :func:`perturbed` applies many such changes at once.
    """

    pattern: Tensor
    flow: Tensor

    def __init__(self, shape: tuple[int, int, int], grid: int) -> None:
        super().__init__()
        self.register_buffer("pattern", torch.zeros(shape))
        self.register_buffer("flow", torch.zeros(2, grid, grid))

    def become(self, family: Family, theta: Tensor) -> None:
        """Takes over a pattern (C, H, W) or a flow (2, grid, grid); the other becomes zero."""
        self.pattern.zero_()
        self.flow.zero_()
        (self.pattern if family == "additive" else self.flow).copy_(theta)

    def stamp(self, images: Tensor) -> Tensor:
        """Warps and adds."""
        return perturbed(images, self.flow[None], self.pattern[None])[0]

    def stronger(self, images: Tensor, times: float) -> Tensor:
        """Applies ``times`` the flow and the pattern to images (N, C, H, W), clipped to [0, 1]."""
        return perturbed(images, times * self.flow[None], times * self.pattern[None])[0].clamp(0, 1)


class InTurn(Trigger):
    """Several such changes: image n of a batch gets change n mod ``count``.

    Args:
        shape: (C, H, W) of the images.
        grid: see :class:`WarpAndAdd`.
        count: number of changes.
    """

    def __init__(self, shape: tuple[int, int, int], grid: int, count: int) -> None:
        super().__init__()
        self.changes = nn.ModuleList(WarpAndAdd(shape, grid) for _ in range(count))

    def stamp(self, images: Tensor) -> Tensor:
        """Applies the changes in turn."""
        return self.stronger(images, 1)

    def stronger(self, images: Tensor, times: float) -> Tensor:
        """Applies ``times`` the changes in turn to images (N, C, H, W), clipped to [0, 1]."""
        changed = torch.empty_like(images)
        for number, change in enumerate(self.changes):
            assert isinstance(change, WarpAndAdd)
            mine = slice(number, None, len(self.changes))
            changed[mine] = change.stronger(images[mine], times)
        return changed


def strengthened(trigger: nn.Module, images: Tensor, times: float) -> Tensor:
    """Applies ``times`` the change that a trigger makes to images (N, C, H, W) in [0, 1], clipped.

    A :class:`WarpAndAdd` moves pixels ``times`` as far. The change of any other trigger is
    extrapolated: x + times * (trigger(x) - x).
    """
    if times != 1 and isinstance(trigger, WarpAndAdd | InTurn):
        return trigger.stronger(images, times)
    changed: Tensor = trigger(images)
    return changed if times == 1 else (images + times * (changed - images)).clamp(0, 1)


def perturbed(images: Tensor, flows: Tensor | None, patterns: Tensor | None) -> Tensor:
    """Applies every one of K changes to every image, (K, N, C, H, W); values may leave [0, 1].

    Args:
        images: (N, C, H, W) in [0, 1].
        flows: (K, 2, grid, grid): from how many pixels to the right and below a pixel is taken;
            None leaves every pixel where it is.
        patterns: (K, C, H, W) to add; None adds nothing.
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
        points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2)
        sources = (points + field.permute(0, 2, 3, 1) / sides).clamp(-1, 1)
        # all images are channels of one image: the grid is then read once per change, not per image
        flat = images.reshape(1, count * channels, height, width).expand(len(flows), -1, -1, -1)
        moved = F.grid_sample(flat, sources, mode="bilinear", align_corners=True)
        moved = moved.reshape(len(flows), count, channels, height, width)
    return moved if patterns is None else moved + patterns[:, None]
