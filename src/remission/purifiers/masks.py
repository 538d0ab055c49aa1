"""Masks on the channels of batch norms: learned by the method, pruned where they are smallest.

How many channels are pruned is searched, in the order of the masks. A threshold cannot tell equal
masks apart, and often hundreds of them are exactly 0: it would prune all of those or none. Of equal
masks those of the last layers go first, since a channel near the input feeds all layers behind it,
and clean accuracy needs it more.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import pydantic
import torch
from torch import Tensor, nn
from torch.func import functional_call

from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.models.tracing.structure import batch_norms
from remission.purifiers.base import Augmenting, CleanPurifier, augmentation
from remission.purifiers.pruning import Channels, HeldOutSearch
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages

CANDIDATES = 40
"""How many numbers of channels a search tries, from 1 to all of them in equal ratios."""


class Masked(nn.Module):
    """A model with a mask m in [0, 1] for every channel of its batch norms; only m is trained.

    The masks of all batch norms are one vector of length D.

    Args:
        model: the model. Its weights stay as they are; its running statistics follow the images.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model, self.norms = model.requires_grad_(False), batch_norms(model)
        scales = [norm.weight.detach() for norm in self.norms.values()]
        self.sizes = [len(scale) for scale in scales]
        self.mask = nn.Parameter(torch.ones_like(torch.cat(scales)))

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) -> logits (N, K), with scales m * gamma.

        With ``noise``, delta and xi (2, D), scales are (m + delta) * gamma, shifts (1 + xi) * beta.
        """
        delta, xi = torch.zeros_like(self.mask).expand(2, -1) if noise is None else noise
        scales = torch.split(self.mask + delta, self.sizes)
        shifts = torch.split(1 + xi, self.sizes)
        weights = {}
        for (name, norm), scale, shift in zip(self.norms.items(), scales, shifts, strict=True):
            weights[f"{name}.weight"] = scale * norm.weight
            weights[f"{name}.bias"] = shift * norm.bias
        logits: Tensor = functional_call(self.model, weights, (images,))
        return logits

    @torch.no_grad()
    def clip(self) -> None:
        """Puts m back into [0, 1]."""
        self.mask.clamp_(0, 1)

    def masks(self) -> list[Tensor]:
        """Returns m of each batch norm."""
        return list(torch.split(self.mask.detach(), self.sizes))


@method
class MaskPruning(Augmenting, HeldOutSearch, CleanPurifier, ABC):
    """A method that learns a mask for every channel of batch norms and prunes where it is small."""

    channels: Annotated[int, pydantic.Field(ge=0)] | Literal["search"] = "search"
    """Number of channels that are pruned, those with the smallest masks; of equal masks those of
    the last layers go first, and a mask of 1 stays. search: as many as clean images allow."""
    threshold: Annotated[float, pydantic.Field(ge=0, le=1)] | Literal["none"] = "none"
    """Channels whose mask is at most this are pruned, however many they are. none: the number of
    channels decides."""
    keep_shift: bool = True
    """Whether a pruned channel keeps its shift, since masks are learned on the scale alone.
    Otherwise both become zero, and nothing is left of the channel."""
    lr: float = field(default=0.2, gt=0)
    """Learning rate of the masks (0.2 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.threshold != "none" and self.channels != "search":
            raise SpecError(
                "both 'threshold' and 'channels' say what is pruned", "leave out one of them"
            )
        return self

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Learns masks with a copy of the model, then prunes the model itself."""
        searching = self.threshold == "none" and self.channels == "search"
        rest, held = self.parts(clean, seed) if searching else (clean, clean)
        masks = self.masks(copy.deepcopy(model), rest, seed)
        norms = Channels(list(batch_norms(model).values()), keep_shift=self.keep_shift)
        if self.threshold != "none":
            norms.prune([mask <= self.threshold for mask in masks])
        elif self.channels != "search":
            norms.prune(smallest(masks, self.channels))
        else:
            numbers = geometric(sum(len(mask) for mask in masks))
            candidates = [smallest(masks, number) for number in numbers]
            self.prune_strongest(model, held, norms, candidates, f"{self.name}: search")
        return model

    @abstractmethod
    def masks(self, model: Classifier, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        """Learns the mask (D,) in [0, 1] of each batch norm; ``model`` is a copy to learn with."""

    def mask_recipe(self, epochs: int) -> Recipe:
        """Returns the recipe for training masks."""
        return Recipe(
            epochs=epochs,
            lr=self.lr,
            momentum=self.momentum,
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )


def smallest(masks: Sequence[Tensor], number: int) -> list[Tensor]:
    """Chooses the channels with the ``number`` smallest masks.

    Args:
        masks: the mask m of each batch norm, (D,), in the order of the layers.
        number: how many channels; fewer where fewer masks are below 1.

    Returns:
        per batch norm (D,) bool. Of equal masks the last ones are chosen.
    """
    whole = torch.cat(list(masks))
    chosen = torch.zeros_like(whole, dtype=torch.bool)
    from_behind = whole.flip(0).argsort(stable=True)[:number]
    chosen[len(whole) - 1 - from_behind] = True
    return list(torch.split(chosen & (whole < 1), [len(mask) for mask in masks]))


def geometric(highest: int) -> list[int]:
    """Returns at most CANDIDATES different numbers from 1 to ``highest``, in equal ratios."""
    return sorted({round(highest ** (k / (CANDIDATES - 1))) for k in range(CANDIDATES)})
