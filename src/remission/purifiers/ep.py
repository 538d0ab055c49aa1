"""EP, exact purification: the upper bound that knows the trigger (Min et al., NeurIPS 2024).

    w <- SGD(w, grad CE(f_w(x~), y)),

where x~ carries the true trigger in a share of the batch, and y is the true label. The paper has no
public code for it. Our protocol: as many epochs as PAM's rounds together, the momentum of
fine-tuning (PAM's is 0.1), and batch-norm statistics of the weights themselves.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import FineTuning, TriggerPurifier
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class EP(FineTuning, TriggerPurifier):
    """Exact purification: unlearning with the attacker's own trigger."""

    name: ClassVar[str] = "ep"
    paper: ClassVar[str] = "Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "true trigger")

    trigger: Literal["true"] = "true"
    """Always the attacker's own trigger."""
    epochs: int = field(default=90, ge=1)
    """Passes over the clean images (PAM's 3 rounds of 30)."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """w <- SGD(w, grad CE(f_w(x~), y))."""
        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            transform=lambda images, labels: (self.stamp_share(trigger, images), labels),
        )
        return model
