"""Code that the pruning purifiers share: the search for the strength, and masks on batch norms.

The strength is searched on clean images of the defender to which nothing was fitted: it is the
strongest pruning whose clean accuracy there is at most ``max_drop`` below the victim's. Neither
triggered images nor test images take part, unlike in public code that chooses the lowest ASR.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from remission.data.split import holdout
from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.models.tracing.structure import batch_norms
from remission.progress import tracked
from remission.purifiers.base import Augmenting, CleanPurifier, augmentation
from remission.seeding import Seed
from remission.training import Recipe, predict
from remission.types import LabelledImages

THRESHOLDS = tuple(step / 20 for step in range(19))
"""Thresholds of masks from the weakest pruning on: 0, 0.05, ..., 0.9 (public code, ANP and RNP)."""


@method
class StrengthSearch:
    """The search for the strongest pruning that clean images allow."""

    max_drop: float = field(default=0.02, ge=0, le=1)
    """Clean accuracy that pruning may cost on the images of the search, as a difference of shares.
    0.02 is a little more than the 1.5 points that ANP loses in its paper; BackdoorBench's tenth of
    the accuracy is more than a user would accept."""

    def strongest(self, hits: Sequence[int], victim: int, total: int) -> int | None:
        """Returns the index of the strongest candidate that costs at most ``max_drop``, or None.

        Args:
            hits: number of images that each candidate recognises, the weakest first.
            victim: number of images that the victim recognises.
            total: number of images.
        """
        allowed = self.max_drop * total + 1e-6  # 0.29 * 100 is less than 29
        allowed_places = [place for place, count in enumerate(hits) if victim - count <= allowed]
        return max(allowed_places, default=None)

    def prune_strongest(
        self,
        model: Classifier,
        images: LabelledImages,
        channels: Channels,
        strengths: Sequence[float],
        pruned: Callable[[float], Sequence[Tensor]],
        what: str,
    ) -> None:
        """Prunes ``model`` as strongly as ``images`` allow, which may be not at all.

        Args:
            model: the model whose channels are pruned.
            images: the images of the search.
            channels: the channels of its batch norms.
            strengths: the candidates, the weakest first.
            pruned: strength -> the channels to prune, as :meth:`Channels.prune` takes them.
            what: the name of this search, shown as progress.
        """
        victim = recognised(model, images)
        hits = [-1] * len(strengths)
        for place, strength in enumerate(tracked(strengths, what, len(strengths))):
            channels.prune(pruned(strength))
            hits[place] = recognised(model, images)
        channels.restore()
        best = self.strongest(hits, victim, len(images))
        if best is not None:
            channels.prune(pruned(strengths[best]))


@method
class HeldOutSearch(StrengthSearch):
    """The same search for methods that learn from clean images: some are held out for it."""

    held_out: float = field(default=0.2, gt=0, lt=1)
    """Share of the clean images of every class that are held out for the search. Of 1,000 images
    these are 200, where a drop of 0.02 is four images; of 100 it would be two, which is no more
    than chance."""

    def parts(self, clean: LabelledImages, seed: Seed) -> tuple[LabelledImages, LabelledImages]:
        """Splits the images into disjoint parts: (images to learn from, images to search on).

        Raises:
            SpecError: there are less than three images; batch norm cannot train on one.
        """
        if len(clean) < 3:
            raise SpecError(
                f"{len(clean)} clean images are too few to hold some out for a search",
                "give the defender more images, or set the strength instead of searching it",
            )
        share = min(max(self.held_out, 1 / len(clean)), 1 - 2 / len(clean))
        rest, held = holdout(clean.labels.cpu(), share, seed.child("held out"))
        return clean[rest], clean[held]


class Channels:
    """The channels of batch norms, which can be pruned and put back exactly.

    Args:
        norms: the batch norms, which are changed in place.
        keep_shift: a pruned channel has the value of its shift everywhere; otherwise it is zero.
    """

    def __init__(self, norms: Sequence[_BatchNorm], *, keep_shift: bool = False) -> None:
        self.norms, self.keep_shift = norms, keep_shift
        self.whole = [(n.weight.detach().clone(), n.bias.detach().clone()) for n in norms]

    @torch.no_grad()
    def prune(self, pruned: Sequence[Tensor]) -> None:
        """Prunes these channels and no others: per batch norm a mask (D,), True where pruned."""
        for norm, (scale, shift), mask in zip(self.norms, self.whole, pruned, strict=True):
            norm.weight.copy_(scale.masked_fill(mask, 0))
            norm.bias.copy_(shift if self.keep_shift else shift.masked_fill(mask, 0))

    def restore(self) -> None:
        """Puts all channels back."""
        self.prune([torch.zeros_like(scale, dtype=torch.bool) for scale, _ in self.whole])


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

    threshold: Annotated[float, pydantic.Field(ge=0, le=1)] | Literal["search"] = "search"
    """Channels whose mask is at most this are pruned; search: from 0 to 0.9 in steps of 0.05."""
    keep_shift: bool = True
    """Whether a pruned channel keeps its shift, since masks are learned on the scale alone.
    Otherwise both become zero, and nothing is left of the channel."""
    lr: float = field(default=0.2, gt=0)
    """Learning rate of the masks (0.2 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Learns masks with a copy of the model, then prunes the model itself."""
        searching = self.threshold == "search"
        rest, held = self.parts(clean, seed) if searching else (clean, clean)
        masks = self.masks(copy.deepcopy(model), rest, seed)
        channels = Channels(list(batch_norms(model).values()), keep_shift=self.keep_shift)

        def pruned(threshold: float) -> list[Tensor]:
            return [mask <= threshold for mask in masks]

        if self.threshold == "search":
            what = f"{self.name}: search"
            self.prune_strongest(model, held, channels, THRESHOLDS, pruned, what)
        else:
            channels.prune(pruned(self.threshold))
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


def recognised(model: nn.Module, images: LabelledImages) -> int:
    """Returns how many images the model classifies as their label."""
    return int((predict(model, images) == images.labels).sum())
