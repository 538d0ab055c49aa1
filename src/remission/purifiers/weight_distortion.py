"""Weight distortion (Siddiqui, Weller, Krueger, Dziugaite, Mozer, Triantafillou, arXiv 2505.22310).

This unlearning resists relearning since it starts outside the basin of the old model. Noise is
added to all weights, which are then trained on the images that are to be remembered, here the
defender's clean images:

    w <- w + sigma * z, z ~ N(0, I);  min CE(f_w(x), y) by Adam.

The learning rate is ours. The paper's public code takes 35,000 steps of 1e-5 on 45,000 images; 100
passes over 1,000 images are 800 steps, and 4e-4 lets each weight go as far. sigma is an absolute
length, as in the paper, for a ResNet-18 of 64 channels; narrower networks have larger weights,
which the same sigma distorts less.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, Relearning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class WeightDistortion(Relearning, CleanPurifier):
    """Adds noise to all weights, then trains them on clean images."""

    name: ClassVar[str] = "weight_distortion"
    paper: ClassVar[str] = "Siddiqui et al., 2025, arXiv 2505.22310"

    sigma: float = field(default=0.02, gt=0)
    """Standard deviation of the noise, in units of the weights (0.02 in the public code)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Adds the noise and trains."""
        generator = seed.child("noise").generator()
        with torch.no_grad():
            for w in model.parameters():
                z = torch.randn(w.shape, generator=generator)  # the same numbers on every device
                w.add_(z.to(w), alpha=self.sigma)
        fit(model, clean, self.recipe(), seed=seed, what=self.name)
        return model
