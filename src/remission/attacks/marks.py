"""Marks that say which images of a batch are poisoned, for attacks that poison batch by batch.

:func:`remission.training.fit` shuffles and augments images with their labels and knows nothing of
poison. So the labels carry the mark: class y of K becomes y + g * K for an image of group g, and a
``transform`` or a ``loss`` reads both numbers back. Group 0 is clean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remission.errors import SpecError
from remission.seeding import Seed
from remission.types import LabelledImages


def mark(data: LabelledImages, groups: Sequence[Tensor], classes: int) -> LabelledImages:
    """Returns the same images with marked labels.

    Args:
        data: images with true labels in 0..K-1.
        groups: (n,) indices of the images of group 1, of group 2, ...; disjoint.
        classes: K.
    """
    labels = data.labels.clone()
    for number, chosen in enumerate(groups, start=1):
        labels[chosen] += number * classes
    return LabelledImages(data.images, labels)


def read_marks(labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(B,) marked labels -> (B,) true classes, (B,) groups."""
    return labels % classes, labels // classes


def count_decoys(total: int, poisoned: int, ratio: float, key: str) -> int:
    """Returns the number of decoys: ``ratio`` per poisoned image.

    Args:
        total: number of all images.
        poisoned: number of the poisoned ones.
        ratio: decoys per poisoned image.
        key: what the attack calls the ratio, for messages.

    Raises:
        SpecError: fewer images than that are not poisoned.
    """
    count = round(ratio * poisoned)
    if count > total - poisoned:
        raise SpecError(
            f"{key} {ratio} means {count} images, and {total - poisoned} are not poisoned",
            f"use a smaller {key} or poison_rate",
        )
    return count


def draw_decoys(total: int, chosen: Tensor, ratio: float, key: str, seed: Seed) -> Tensor:
    """Draws decoys among the images that are not poisoned.

    Args:
        total: number of all images.
        chosen: (n,) indices of the poisoned ones.
        ratio: decoys per poisoned image.
        key: what the attack calls the ratio, for messages.
        seed: the source of the draw.

    Returns:
        Their indices, (m,), ascending; m = ratio * n.

    Raises:
        SpecError: fewer images than that are not poisoned.
    """
    spared = torch.ones(total, dtype=torch.bool)
    spared[chosen.cpu()] = False
    left = spared.nonzero().flatten()
    count = count_decoys(total, len(chosen), ratio, key)
    order = torch.randperm(len(left), generator=seed.generator())
    return left[order[:count]].sort().values.to(chosen.device)
