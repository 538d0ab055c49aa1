"""FP: fine-pruning (Liu, Dolan-Gavitt, Garg, RAID 2018, arXiv 1805.12185).

    a_k = mean over clean images of |channel k of the input of the last linear layer|.

The channels with the smallest a_k are pruned, in growing numbers, as long as clean accuracy allows.
Then all weights are fine-tuned, W <- SGD(W, grad CE(f(x), y)), and pruned channels stay pruned. In
the paper's networks channels are never negative, so its formula has no | |. BackdoorBench stops by
test accuracy, takes a model one step past its limit, and prunes other channels than it records.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic
import torch
from torch import Tensor

from remission.method import method
from remission.models import Classifier, watching_final_inputs
from remission.progress import tracked
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.purifiers.pruning import HeldOutSearch, recognised
from remission.seeding import Seed
from remission.training import batches, fit
from remission.types import LabelledImages

SHARES = tuple(step / 100 for step in range(1, 100))
"""Shares of the channels from the weakest pruning on: 1 %, 2 %, ..., 99 %."""
BATCH = 500
"""Images per forward pass without gradients."""


@method
class FP(FineTuning, HeldOutSearch, CleanPurifier):
    """Fine-pruning: prunes the channels that clean images use least, then fine-tunes all."""

    name: ClassVar[str] = "fp"
    paper: ClassVar[str] = "Liu, Dolan-Gavitt and Garg, RAID 2018, arXiv 1805.12185"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "last linear layer")

    share: Annotated[float, pydantic.Field(gt=0, lt=1)] | Literal["search"] = "search"
    """Share of the channels that are pruned; at least one is left. search: from 1 % to 99 %."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Prunes, then fine-tunes on all clean images, also on those that the search held out."""
        head = model.final_linear
        if self.share == "search":
            rest, held = self.parts(clean, seed)
            order = self.least_active(model, rest)
            count = self.searched_count(model, held, order)
        else:
            order = self.least_active(model, clean)
            count = _count(self.share, head.in_features)
        pruned = order[:count]

        @torch.no_grad()
        def prune() -> None:
            head.weight[:, pruned] = 0

        prune()
        fit(model, clean, self.recipe(), seed=seed, what=self.name, after_step=prune)
        return model

    @torch.no_grad()
    def least_active(self, model: Classifier, clean: LabelledImages) -> Tensor:
        """Orders the channels of the last linear layer's input by a_k, (D,), least active first."""
        head = model.final_linear
        total = head.weight.new_zeros(head.in_features)

        def add(features: Tensor) -> None:
            total.add_(features.abs().to(total).flatten(0, -2).sum(0))

        model.eval()
        with watching_final_inputs(model, add):
            stream = batches(clean, BATCH, generator=None)
            for images, _ in tracked(stream, f"{self.name}: activations", -(-len(clean) // BATCH)):
                model(images)
        return total.argsort(stable=True)

    @torch.no_grad()
    def searched_count(self, model: Classifier, images: LabelledImages, order: Tensor) -> int:
        """Returns how many channels of ``order`` may go; per number only the head is computed."""
        head = model.final_linear
        whole, counts = head.weight.detach().clone(), [_count(s, len(order)) for s in SHARES]
        hits = torch.zeros(len(counts), dtype=torch.int64, device=whole.device)
        victim = recognised(model, images)
        model.eval()
        stream = batches(images, BATCH, generator=None)
        for x, y in tracked(stream, f"{self.name}: search", -(-len(images) // BATCH)):
            features = model.features(x)
            for index, count in enumerate(counts):
                head.weight[:, order[:count]] = 0
                hits[index] += (model.classify(features).argmax(1) == y).sum()
            head.weight.copy_(whole)
        best = self.strongest(hits.tolist(), victim, len(images))
        return 0 if best is None else counts[best]


def _count(share: float, channels: int) -> int:
    """Returns the number of channels that a share is; one at least is left."""
    return min(round(share * channels), channels - 1)
