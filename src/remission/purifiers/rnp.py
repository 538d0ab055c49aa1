"""RNP: reconstructive neuron pruning (Li, Lyu, Ma, Koren, Lyu, Li, Jiang, ICML 2023).

1. Unlearn: a copy of the model climbs, max over theta of CE(f(x; theta), y), until it recognises at
   most a fifth of the clean images.
2. Recover: those weights stay fixed, each channel of the batch norms gets a mask m in [0, 1], and
   min over m of a * CE(f(x; m * gamma), y) is solved.
3. Prune: the channels with m <= t of the original model.

Public code clips the gradient before computing it, so that nothing is clipped, and divides the
learning rate of step 1 by ten after ten passes; here it is constant.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import augmentation
from remission.purifiers.pruning import Masked, MaskPruning
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Backward
from remission.types import LabelledImages


@method
class RNP(MaskPruning):
    """Reconstructive neuron pruning: masks that bring back a model which has unlearned."""

    name: ClassVar[str] = "rnp"
    paper: ClassVar[str] = "Li et al., ICML 2023, arXiv 2305.14876"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm")

    unlearn_acc: float = field(default=0.2, ge=0, lt=1)
    """Step 1 ends after a pass in which the model recognises at most this share of the images."""
    unlearn_epochs: int = field(default=20, ge=1)
    """Number of passes of step 1 at most."""
    unlearn_lr: float = field(default=0.01, gt=0)
    """Learning rate of step 1."""
    unlearn_weight_decay: float = field(default=5e-4, ge=0)
    """L2 penalty of step 1 on all parameters."""
    clip: float = field(default=20.0, gt=0)
    """Largest norm of the gradient in step 1."""
    alpha: float = field(default=0.2, gt=0)
    """a, the weight of the loss in step 2."""
    epochs: int = field(default=20, ge=1)
    """Passes of step 2."""

    def masks(self, model: Classifier, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        """Runs steps 1 and 2; returns m of each batch norm, (D,)."""
        self.unlearn(model, clean, seed.child("unlearn"))
        masked = Masked(model)
        fit(
            masked,
            clean,
            self.mask_recipe(self.epochs),
            seed=seed.child("recover"),
            what=f"{self.name}: recovering",
            loss=lambda images, labels: self.alpha * F.cross_entropy(masked(images), labels),
            after_step=masked.clip,
        )
        return masked.masks()

    def unlearn(self, model: Classifier, clean: LabelledImages, seed: Seed) -> None:
        """Runs step 1 on ``model``, in place."""
        ascent = _Ascent(model, len(clean), self.unlearn_acc, self.clip)
        recipe = Recipe(
            epochs=self.unlearn_epochs,
            lr=self.unlearn_lr,
            momentum=self.momentum,
            weight_decay=self.unlearn_weight_decay,
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )
        fit(
            model,
            clean,
            recipe,
            seed=seed,
            what=f"{self.name}: unlearning",
            loss=ascent.loss,
            gradient=ascent.gradient,
            after_step=ascent.count,
        )


class _Ascent:
    """Step 1: gradient ascent until the model recognises few enough images, then no more steps.

    Accuracy is counted in the forward passes that give the gradients.

    Args:
        model: the model.
        images: number of images per pass.
        goal: share of recognised images at which the ascent ends.
        clip: largest norm of the gradient.
    """

    def __init__(self, model: Classifier, images: int, goal: float, clip: float) -> None:
        self.model, self.images, self.goal, self.clip = model, images, goal, clip
        self.hits: list[Tensor] = []
        self.seen, self.reached = 0, False

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """-CE(f(x), y)."""
        logits = self.model(images)
        self.hits.append((logits.argmax(1) == labels).sum())
        self.seen += len(labels)
        return -F.cross_entropy(logits, labels)

    def gradient(self, backward: Backward) -> Tensor:
        """Leaves the clipped gradient; none once the goal is reached, so that no weight moves."""
        if self.reached:
            return torch.zeros_like(self.model.mean.sum())
        loss = backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        return loss

    def count(self) -> None:
        """Ends a pass when all images were seen; the last one may be left out, see ``batches``."""
        if self.seen >= max(self.images - 1, 1):
            self.reached = int(sum(self.hits)) <= self.goal * self.seen
            self.hits, self.seen = [], 0
