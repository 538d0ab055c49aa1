"""UNDO: unlearn, noise, distil on outputs (Lee et al., NeurIPS 2025, arXiv 2506.06278).

An unlearned model may only hide what it knew; a model with other weights that learns its answers
alone has nothing to hide. Three steps:

    unlearn:  theta_t = the base purifier's result on the victim;
    noise:    theta = (1 - alpha) theta_t + alpha beta N, N fresh weights;
    distil:   min over theta of T^2 KL(softmax(z_t / T) || softmax(z / T)),

z and z_t being the logits of the student theta and of the teacher theta_t on the same augmented
batch of clean images. Their labels are not used. At the end the batch-norm statistics are collected
anew at the student's weights.

Differences from the paper, which unlearns in language models: N is Xavier noise for matrices and 0
for vectors there, and what the model's own initialisation draws here, so that the scale of a batch
norm tends to beta. The public code uses beta = 0.1. Before a batch norm the length of a weight does
not matter, so that noise of a tenth of its size would change little; beta is 1 here. The public
code has T = 1 as well, and it distils by AdamW until the student's loss is within 5 % of the
teacher's; here SGD takes a stated number of epochs.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier, build_like
from remission.purifiers.base import FineTuning
from remission.purifiers.wrapping import WrappingPurifier
from remission.seeding import Seed
from remission.training import fit, recalibrate
from remission.training.distillation import divergence
from remission.types import LabelledImages


@method
class UNDO(FineTuning, WrappingPurifier):
    """Distils another purifier's result into a copy of it that is blended with fresh weights."""

    name: ClassVar[str] = "undo"
    paper: ClassVar[str] = "Lee et al., NeurIPS 2025, arXiv 2506.06278"
    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    alpha: float = field(default=0.5, ge=0, le=1)
    """Share of fresh weights in the student before distillation (0.2 to 0.8 in the paper's
    figures); 0: the student starts as the teacher, 1: with none of its weights."""
    beta: float = field(default=1.0, ge=0)
    """Factor of the fresh weights (0.1 in the public code, for models without batch norm)."""
    temperature: float = field(default=1.0, gt=0)
    """T, by which both models' logits are divided (1 in the public code); larger values soften the
    answers."""
    epochs: int = field(default=40, ge=0)
    """Passes over the clean images that distil; 0: none."""
    lr: float = field(default=0.05, gt=0)
    """Highest learning rate of the distillation."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        """Unlearns with ``base``, blends with fresh weights, distils.

        With ``alpha`` and ``epochs`` of 0 the result is that of ``base``.
        """
        teacher = self.base(model, clean, seed=seed.child("base"), trigger=trigger).model
        if self.alpha == 0 and self.epochs == 0:
            return teacher
        student = copy.deepcopy(teacher)
        teacher.eval().requires_grad_(False)
        self.blend(student, build_like(student, seed=seed.child("fresh")))

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            del labels
            with torch.no_grad():
                wanted = teacher(images)
            return divergence(student(images), wanted, self.temperature)

        if self.epochs:
            what = f"{self.name}: student"
            fit(student, clean, self.recipe(), seed=seed, what=what, loss=loss)
        recalibrate(student, clean)
        return student

    @torch.no_grad()
    def blend(self, student: Classifier, fresh: Classifier) -> None:
        """theta <- (1 - alpha) theta + alpha beta N for every parameter, in place.

        Args:
            student: theta.
            fresh: N, a model with parameters of the same shapes, on any device.
        """
        for theta, n in zip(student.parameters(), fresh.parameters(), strict=True):
            theta.mul_(1 - self.alpha).add_(n.to(theta), alpha=self.alpha * self.beta)
