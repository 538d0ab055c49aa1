"""Code that the pruning purifiers share: the search for the strength, and pruned channels.

The strength is searched on clean images of the defender to which nothing was fitted: it is the
strongest pruning whose clean accuracy there is at most ``max_drop`` below the victim's. Neither
triggered images nor test images take part, unlike in public code that chooses the lowest ASR.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.data.split import holdout
from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.seeding import Seed
from remission.training import predict
from remission.types import LabelledImages


@method
class StrengthSearch:
    """The search for the strongest pruning that clean images allow."""

    max_drop: float = field(default=0.03, ge=0, le=1)
    """Clean accuracy that pruning may cost on the images of the search, as a difference of shares:
    the same budget for every pruner. BackdoorBench's tenth of the accuracy is more than a user
    would accept. The measured drop is an estimate: if only one of the two models is right on a
    share d of n images, its standard error is sqrt(d / n), for d = 0.07 and n = 200 about 0.019.
    Since the strongest of many candidates is taken, the drop on other images tends to be larger."""

    def strongest(self, hits: Sequence[int], victim: int, total: int) -> int | None:
        """Returns the index of the strongest candidate that costs at most ``max_drop``, or None.

        Args:
            hits: number of images that each candidate recognises, the weakest first.
            victim: number of images that the victim recognises.
            total: number of images.
        """
        allowed = self.max_drop * total + 1e-6  # 0.29 * 100 is less than 29
        within = [index for index, count in enumerate(hits) if victim - count <= allowed]
        return max(within, default=None)

    def prune_strongest(
        self,
        model: Classifier,
        images: LabelledImages,
        channels: Channels,
        candidates: Sequence[Sequence[Tensor]],
        what: str,
    ) -> None:
        """Prunes ``model`` as strongly as ``images`` allow, which may be not at all.

        A model of which nothing is pruned has exactly the weights that it came with.

        Args:
            model: the model whose channels are pruned.
            images: the images of the search.
            channels: the channels of its batch norms.
            candidates: what may be pruned, as :meth:`Channels.prune` takes it, the weakest first.
            what: the name of this search, shown as progress.
        """
        victim = recognised(model, images)
        hits = [-1] * len(candidates)
        for index, candidate in enumerate(tracked(candidates, what, len(candidates))):
            channels.prune(candidate)
            hits[index] = recognised(model, images)
        channels.restore()
        best = self.strongest(hits, victim, len(images))
        if best is not None:
            channels.prune(candidates[best])


@method
class HeldOutSearch(StrengthSearch):
    """The same search for methods that learn from clean images: some are held out for it."""

    held_out: float = field(default=0.2, gt=0, lt=1)
    """Share of the clean images of every class that are held out for the search. Of 1,000 images
    these are 200, where a drop of 0.03 is six images; of 100 images it would be three, which is no
    more than chance."""

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


def recognised(model: nn.Module, images: LabelledImages) -> int:
    """Returns how many images the model classifies as their label."""
    return int((predict(model, images) == images.labels).sum())
