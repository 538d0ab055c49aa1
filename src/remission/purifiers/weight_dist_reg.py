"""Weight distance regularisation (Siddiqui et al., arXiv 2505.22310), the paper's Weight Dist Reg.

This unlearning resists relearning since it moves away from the old weights w0, while it trains on
the images that are to be remembered, here the defender's clean images:

    min CE(f_w(x), y) - alpha * sqrt(mean((w - w0)^2) + 1e-8)  by Adam.

The mean is over all weights, so that the distance does not grow with their number. At w0 it has no
gradient, and the first step follows the cross entropy alone. The learning rate is ours, chosen as
in :mod:`remission.purifiers.weight_distortion`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, Relearning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class WeightDistReg(Relearning, CleanPurifier):
    """Trains on clean images and drives all weights away from the backdoored ones."""

    name: ClassVar[str] = "weight_dist_reg"
    paper: ClassVar[str] = "Siddiqui et al., 2025, arXiv 2505.22310"

    alpha: float = field(default=1.0, ge=0)
    """Weight of the distance (1 in the public code)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the objective above."""
        weights = list(model.parameters())
        old = [w.detach().clone() for w in weights]
        count = sum(w.numel() for w in weights)

        def distance() -> Tensor:
            squares = [(w - w0).square().sum() for w, w0 in zip(weights, old, strict=True)]
            return (torch.stack(squares).sum() / count + 1e-8).sqrt()

        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            loss=lambda images, labels: (
                F.cross_entropy(model(images), labels) - self.alpha * distance()
            ),
        )
        return model
