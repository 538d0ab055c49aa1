"""What the purifiers that prune share: the search for the strength, and masks on batch norms.

How strongly to prune is found on clean images of the defender that nothing was fitted to: the
strongest pruning whose clean accuracy there is at most ``max_drop`` below the victim's. Neither
triggered images nor test images take part, as they do in public code that keeps the lowest ASR.
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
from remission.purifiers.base import CleanPurifier
from remission.seeding import Seed
from remission.training import Recipe, predict
from remission.training.batches import Augment
from remission.types import LabelledImages

THRESHOLDS = tuple(step / 20 for step in range(19))
"""Of masks, weakest first: 0, 0.05, ..., 0.9, as in the public code of ANP and RNP."""


@method
class StrengthSearch:
    """The strongest pruning that clean images allow."""

    max_drop: float = field(default=0.02, ge=0, le=1)
    """Clean accuracy that pruning may cost, as a difference of shares, on the images that it is
    searched on. 0.02 is a little more than the 1.5 points that ANP's paper reports to lose;
    BackdoorBench's tenth of the accuracy is more than a user would accept."""

    def strongest(self, hits: Sequence[int], victim: int, total: int) -> int | None:
        """The last of the candidates that may be taken, or None.

        Args:
            hits: images recognised with each candidate, from the weakest to the strongest.
            victim: images that the victim recognises.
            total: images.
        """
        allowed = self.max_drop * total + 1e-6  # 0.29 * 100 is less than 29
        good = [place for place, found in enumerate(hits) if victim - found <= allowed]
        return max(good, default=None)

    def prune_strongest(
        self,
        model: Classifier,
        images: LabelledImages,
        channels: Channels,
        strengths: Sequence[float],
        pruned: Callable[[float], Sequence[Tensor]],
        what: str,
    ) -> None:
        """Leaves ``model`` pruned as strongly as ``images`` allow, or as it was.

        Args:
            model: whose batch norms ``channels`` are.
            images: to search on.
            channels: what is pruned.
            strengths: from the weakest to the strongest.
            pruned: strength -> the channels, as :meth:`Channels.prune` takes them.
            what: said in progress.
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
    """The same for methods that learn from clean images: some are held out for the search."""

    held_out: float = field(default=0.2, gt=0, lt=1)
    """Share of the clean images, of every class alike, that are held out for the search. Of 1,000
    images 200, where a drop of 0.02 is four images; with 100 it would be two, no more than chance
    makes of it."""

    def parts(self, clean: LabelledImages, seed: Seed) -> tuple[LabelledImages, LabelledImages]:
        """(images to learn from, images to search on), disjoint.

        Raises:
            SpecError: less than three images: batch norm cannot train on one.
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
    """The channels of batch norms, which are pruned and put back exactly.

    Args:
        norms: changed in place.
        keep_shift: a pruned channel is its shift everywhere; else it is zero everywhere.
    """

    def __init__(self, norms: Sequence[_BatchNorm], *, keep_shift: bool = False) -> None:
        self.norms, self.keep_shift = norms, keep_shift
        self.kept = [(n.weight.detach().clone(), n.bias.detach().clone()) for n in norms]

    @torch.no_grad()
    def prune(self, pruned: Sequence[Tensor]) -> None:
        """Prunes these channels and no others: a mask (D,) for every batch norm, True: pruned."""
        for norm, (scale, shift), mask in zip(self.norms, self.kept, pruned, strict=True):
            norm.weight.copy_(scale.masked_fill(mask, 0))
            norm.bias.copy_(shift if self.keep_shift else shift.masked_fill(mask, 0))

    def restore(self) -> None:
        """Prunes none."""
        self.prune([torch.zeros_like(scale, dtype=torch.bool) for scale, _ in self.kept])


class Masked(nn.Module):
    """A model with a mask m in [0, 1] for every channel of its batch norms; only m is trained.

    The masks of all batch norms are one vector, of length D.

    Args:
        model: its weights stay, its running statistics follow the images.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model, self.norms = model.requires_grad_(False), batch_norms(model)
        scales = [norm.weight.detach() for norm in self.norms.values()]
        self.sizes = [len(scale) for scale in scales]
        self.mask = nn.Parameter(torch.ones_like(torch.cat(scales)))

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images -> logits, with scales m * gamma.

        With ``noise``, (2, D) delta and xi: with (m + delta) * gamma and shifts (1 + xi) * beta.
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
        """M of each batch norm."""
        return list(torch.split(self.mask.detach(), self.sizes))


@method
class MaskPruning(HeldOutSearch, CleanPurifier, ABC):
    """A method that learns a mask for every channel of the batch norms and prunes small ones."""

    threshold: Annotated[float, pydantic.Field(ge=0, le=1)] | Literal["search"] = "search"
    """Channels whose mask is at most this are pruned; searched: 0 to 0.9 in steps of 0.05."""
    keep_shift: bool = True
    """Leave the shift of a pruned channel as it is: the masks too were learnt on the scale alone;
    else it is zeroed with the scale, so that nothing is left of the channel."""
    lr: float = field(default=0.2, gt=0)
    """Learning rate of the masks (0.2 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of the masks' SGD."""
    batch_size: int = field(default=128, ge=2)
    """Images a batch."""
    augment: Augment = "crop_flip"
    """Augmentation of the clean images."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Learns masks with a copy, then prunes the model as it came."""
        searching = self.threshold == "search"
        learn, search = self.parts(clean, seed) if searching else (clean, clean)
        masks = self.masks(copy.deepcopy(model), learn, seed)
        channels = Channels(list(batch_norms(model).values()), keep_shift=self.keep_shift)

        def pruned(threshold: float) -> list[Tensor]:
            return [mask <= threshold for mask in masks]

        if self.threshold == "search":
            what = f"{self.name}: search"
            self.prune_strongest(model, search, channels, THRESHOLDS, pruned, what)
        else:
            channels.prune(pruned(self.threshold))
        return model

    @abstractmethod
    def masks(self, model: Classifier, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        """The mask (D,) of each batch norm, in [0, 1]; ``model`` is a copy to learn with."""

    def mask_recipe(self, epochs: int) -> Recipe:
        """How masks are trained."""
        return Recipe(
            epochs=epochs,
            lr=self.lr,
            momentum=self.momentum,
            batch_size=self.batch_size,
            augment=self.augment,
        )


def recognised(model: nn.Module, images: LabelledImages) -> int:
    """How many images the model gives their label."""
    return int((predict(model, images) == images.labels).sum())
