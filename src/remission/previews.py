"""Preview pictures: a few images before and after a change."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from remission import png
from remission.metrics import counted
from remission.types import LabelledImages, Target, as_bytes

COUNT = 8
"""Images per strip."""


def previews(
    test: LabelledImages,
    name: str,
    change: Callable[[Tensor], Tensor],
    target: Target | None,
    classes: int,
) -> dict[str, bytes]:
    """Draws a few test images of other classes, before and after ``change``, as two PNG strips.

    Args:
        test: where the images come from.
        name: of the second file, ``preview_<name>.png``.
        change: image -> image, (N, C, H, W) in [0, 1].
        target: the attacker's target; images of that class are left out. None: nobody attacked.
        classes: number of classes.

    Returns:
        Name of the file -> its content.
    """
    others = test.floats(shown(test, target, classes, COUNT))
    with torch.inference_mode():
        changed = change(others)
    return {"preview_clean.png": strip(others), f"preview_{name}.png": strip(changed)}


def shown(test: LabelledImages, target: Target | None, classes: int, most: int) -> Tensor:
    """Returns (n,) indices of at most ``most`` test images behind the ASR, evenly spaced.

    They are not the first ones, as the test images of a folder are sorted by class.
    """
    indices = torch.arange(len(test), device=test.labels.device)
    if target is not None:
        indices = counted(test.labels, target, classes).indices
    count = min(most, len(indices))
    return indices[torch.arange(count, device=indices.device) * len(indices) // max(count, 1)]


def strip(images: Tensor) -> bytes:
    """Encodes (N, C, H, W) images side by side as one PNG."""
    rows = as_bytes(images.cpu()).permute(2, 0, 3, 1)  # H, N, W, C
    height, count, width, channels = rows.shape
    return png.encode_pixels(rows.reshape(height, count * width, channels).numpy())
