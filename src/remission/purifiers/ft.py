"""FT: plain fine-tuning on clean images, the baseline of every paper.

    w <- SGD(w, grad CE(f_w(x), y)).

The public code of Min et al. (NeurIPS 2024) projects the last layer's norm as FST does; here
nothing is projected.
"""

from __future__ import annotations

from typing import ClassVar

from remission.method import method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class FT(FineTuning, CleanPurifier):
    """Fine-tuning of all weights on clean images with cross entropy."""

    name: ClassVar[str] = "ft"
    paper: ClassVar[str] = "BackdoorBench, Wu et al., NeurIPS 2022"

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """w <- SGD(w, grad CE(f_w(x), y))."""
        fit(model, clean, self.recipe(), seed=seed, what=self.name)
        return model
