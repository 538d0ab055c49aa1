"""How training images are poisoned: a copy of the data in which some images are replaced."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from remission.mapped_tensors import at_once
from remission.progress import enough, tracked
from remission.types import LabelledImages, as_bytes, as_float

Change = Callable[[Tensor], Tensor]
"""(B, C, H, W) float images in [0, 1] -> images of the same shape and range."""

_CHANGED_AT_ONCE = 128
"""Images that are poisoned at a time: what changes them may be a network."""


def replace_images(
    data: LabelledImages, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]
) -> LabelledImages:
    """Copies ``data`` and replaces the ``chosen`` images, part by part, rounded to 8 bits.

    Args:
        data: uint8 or float images; together they may be larger than memory.
        chosen: (n,) indices.
        change: (positions in ``chosen`` (B,) on the CPU, the images there (B, C, H, W) in [0, 1])
            -> the images that replace them, of the same shape.
    """
    copy = data.copy()
    parts = torch.split(torch.arange(len(chosen)), min(_CHANGED_AT_ONCE, at_once(data.images)))
    taken = (part[: enough(len(part))] for part in parts)
    for part in tracked(taken, "poisoned images", len(parts)):
        index = chosen[part.to(chosen.device)]
        with torch.no_grad():
            changed = change(part, data.floats(index))
        _put(copy.images, index, changed)
    return copy


def poison(
    data: LabelledImages, chosen: Tensor, change: Change, labels: Tensor | None
) -> LabelledImages:
    """Copies ``data`` and changes the ``chosen`` images, rounded to 8 bits.

    Args:
        data: uint8 or float images.
        chosen: (n,) indices.
        change: how an image is changed, for example a trigger.
        labels: (n,) the new labels of these images; None: they keep the true ones.
    """
    poisoned = replace_images(data, chosen, lambda _, images: change(images))
    if labels is not None:
        poisoned.labels[chosen] = labels
    return poisoned


def _put(pixels: Tensor, chosen: Tensor, images: Tensor) -> None:
    """Writes images in [0, 1], rounded to 8 bits, over those at ``chosen``."""
    rounded = as_bytes(images)
    values = rounded if pixels.dtype == torch.uint8 else as_float(rounded)
    pixels[chosen.to(pixels.device)] = values.to(pixels.device, pixels.dtype)
