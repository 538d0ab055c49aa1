"""Perturbations of k of K classes at once: their sizes, what they show, and what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.models import Classifier
from remission.triggers.warp_and_add import Family, perturbed

Tried = Literal[Family, "patch"]
"""The families that are searched. In an inversion a patch only helps to name the class."""
TRIED: tuple[Tried, ...] = ("additive", "warp", "patch")
"""All of them."""

_AT_ONCE = 2**19
"""Pixels that go through the model at once with their gradients: 512 images of 32x32."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of searching one family, with one entry per class.

    Args:
        theta: patterns (k, C, H, W), flows (k, 2, grid, grid), or the logits of masks and of the
            patterns behind them (k, 1 + C, H, W).
        size: (k,) |theta| of each.
        share: (k,) share of the images of other classes that arrive, in [0, 1].
    """

    theta: Tensor
    size: Tensor
    share: Tensor

    def needs(self) -> Tensor:
        """Returns log s_t, (k,)."""
        return (self.size.clamp_min(1e-6) / self.share.clamp_min(0.01)).log()


def leads(needs: Tensor) -> Tensor:
    """Returns leads (k,) from log n_t (k,): the least need of all other classes over its own."""
    if len(needs) < 2:
        return torch.ones_like(needs)
    return (-largest_other(-needs) - needs).exp()


def largest_other(values: Tensor) -> Tensor:
    """Returns for each of k values, (k,), the largest of the other k - 1; k is at least 2."""
    first, second = values.sort(descending=True).values[:2]
    return torch.where(values == first, second, first)


def size(theta: Tensor, family: Tried) -> Tensor:
    """Returns |theta| of each class, (k,): root mean squares; of patches, the means of masks."""
    if family == "patch":
        return theta[:, 0].sigmoid().flatten(1).mean(1)
    return (theta.flatten(1).square().mean(1) + 1e-12).sqrt()


def shown(images: Tensor, theta: Tensor, family: Tried) -> Tensor:
    """Applies the perturbation of each class to images (B, C, H, W); returns (k, B, C, H, W)."""
    if family == "patch":
        mask, pattern = theta[:, None, :1].sigmoid(), theta[:, None, 1:].sigmoid()
        return (1 - mask) * images + mask * pattern
    flows, patterns = (None, theta) if family == "additive" else (theta, None)
    raw = perturbed(images, flows, patterns)
    return (
        raw + (raw.clamp(0, 1) - raw).detach()
    )  # straight through the clip, for pixels at 0 and 1


def logits_under(model: Classifier, images: Tensor, theta: Tensor, family: Tried) -> Tensor:
    """Returns logits (k, B, K) of images (B, C, H, W) under the perturbation of each class."""
    logits: Tensor = model(shown(images, theta, family).flatten(0, 1))
    return logits.view(len(theta), len(images), -1)


def parts(classes: int, images: Tensor) -> list[slice]:
    """Cuts classes into parts that go through the model one after another, to save memory.

    Args:
        classes: the number of classes.
        images: (N, C, H, W), all of which are perturbed toward each class.

    Returns:
        Slices of the classes, each with at most :data:`_AT_ONCE` pixels or of one class.
    """
    together = max(1, _AT_ONCE // images[:, 0].numel())
    return [slice(i, min(i + together, classes)) for i in range(0, classes, together)]


def mean_of(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean of the values (k, B) of weight 1, (k,); 0 where there are none."""
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)


def cross_entropies(logits: Tensor, wanted: Tensor) -> Tensor:
    """Returns the cross entropy of logits (k, B, K) and each wanted class (k, B), (k, B)."""
    flat = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    return flat.view_as(wanted)
