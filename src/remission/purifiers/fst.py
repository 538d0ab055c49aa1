"""FST: feature shift tuning (Min, Qin, Shen, Cheng, NeurIPS 2023).

The last linear layer starts at new values, and its weight W is driven away from the old one, W0:

    min CE(f(x), y) + alpha * <W, W0>,
    W <- W * ||W0|| / ||W||  after every step,

with the Frobenius norm. All parameters are trained.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class FST(FineTuning, CleanPurifier):
    """Feature shift tuning: a new head, pushed away from the old one."""

    name: ClassVar[str] = "fst"
    paper: ClassVar[str] = "Min et al., NeurIPS 2023, arXiv 2310.01875"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "last linear layer")

    alpha: float = field(default=0.1, ge=0)
    """Weight of the penalty <W, W0> (0.1 in the paper's README; near 0 for many classes)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the objective above."""
        head = model.final_linear
        old = head.weight.detach().clone()
        with seed.child("head").initialising():  # on the CPU: the same numbers on every device
            new = nn.Linear(head.in_features, head.out_features, bias=head.bias is not None)
        head.load_state_dict(new.state_dict())  # uniform within 1 / sqrt(fan_in), weight and bias

        def project() -> None:
            with torch.no_grad():
                head.weight.mul_(old.norm() / head.weight.norm())

        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            loss=lambda images, labels: (
                F.cross_entropy(model(images), labels) + self.alpha * (head.weight * old).sum()
            ),
            after_step=project,
        )
        return model
