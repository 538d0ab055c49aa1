"""Batches, by index operations on tensors that lie on the device, and their augmentation.

Images that the device has no room for lie on the CPU; each batch is then cut out there and moved.
Nothing in this file copies all images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.progress import enough
from remission.types import LabelledImages, as_float

Augment = Literal["none", "crop", "crop_flip"]


def batches(
    data: LabelledImages,
    batch_size: int,
    *,
    generator: torch.Generator | None,
    augment: Augment = "none",
    only: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields one epoch of (images, labels): float images in [0, 1] in channels-last memory.

    Args:
        data: images and labels; batches lie on the labels' device, which is the model's.
        batch_size: images per batch. The last batch may be smaller; with a generator it is left out
            if it would be a single image, since batch normalisation cannot train on one.
        generator: the source of order and augmentation; None keeps the order and augments nothing.
        augment: ``"crop"``: zero padding by an eighth of the side, then a random crop of the old
            size; ``"crop_flip"``: that and a horizontal flip with probability 1/2.
        only: (n,) indices of the images to take, without a generator in this order; None: all.
    """
    chosen = torch.arange(len(data)) if only is None else only.cpu()
    count, device = len(chosen), data.labels.device
    order = chosen[torch.randperm(count, generator=generator)] if generator else chosen
    view = _Crops(data.images, augment, generator) if generator and augment != "none" else None
    for part in torch.split(order.to(data.images.device), batch_size):
        if generator and len(part) == 1 < count:
            continue
        index = part[: enough(len(part))]
        images = view(index) if view else data.images[index]
        yield (
            as_float(images.to(device)).contiguous(memory_format=torch.channels_last),
            data.labels[index.to(device)],
        )


def share_of(count: int, share: float) -> int:
    """Returns how many of ``count`` images a share in (0, 1] is, rounded, at least one."""
    return max(1, round(share * count))


class _Crops:
    """Random crops and flips of an epoch. They are drawn at once: each batch is then one gather."""

    def __init__(self, images: Tensor, augment: Augment, generator: torch.Generator) -> None:
        count, _, self.height, self.width = images.shape
        device = images.device
        pad_y, pad_x = max(1, self.height // 8), max(1, self.width // 8)
        self.images, self.padding = images, (pad_x, pad_x, pad_y, pad_y)
        self.top = torch.randint(2 * pad_y + 1, (count,), generator=generator).to(device)
        self.left = torch.randint(2 * pad_x + 1, (count,), generator=generator).to(device)
        chance = 0.5 if augment == "crop_flip" else 0.0
        self.flip = (torch.rand(count, generator=generator) < chance).to(device)

    def __call__(self, index: Tensor) -> Tensor:
        """(B,) indices -> (B, C, H, W) crops."""
        device = index.device
        rows = self.top[index, None] + torch.arange(self.height, device=device)  # (B, H)
        across = torch.arange(self.width, device=device).expand(len(index), -1)
        across = torch.where(self.flip[index, None], self.width - 1 - across, across)
        columns = self.left[index, None] + across  # (B, W)
        padded = F.pad(self.images[index], self.padding)
        position = torch.arange(len(index), device=device)
        crops = padded[position[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return crops.permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
