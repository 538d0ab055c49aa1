"""RNP: reconstructive neuron pruning (Li, Lyu, Ma, Koren, Lyu, Li, Jiang, ICML 2023).

1. Unlearn: a copy of the model climbs, max over theta of CE(f(x; theta), y), until it recognises
   at most a fifth of the clean images of one batch.
2. Recover: those weights stay fixed, each channel of the batch norms gets a mask m in [0, 1], and
   min over m of a * CE(f(x; m * gamma), y) is solved.
3. Prune: the channels of the original model with the smallest masks.

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
from remission.purifiers.masks import Masked, MaskPruning
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Backward
from remission.training.weights import Direction, Weights
from remission.types import LabelledImages

HALVINGS = 5
"""Number of bisections at the end of step 1."""


@method
class RNP(MaskPruning):
    """Reconstructive neuron pruning: masks that bring back a model which has unlearned."""

    name: ClassVar[str] = "rnp"
    paper: ClassVar[str] = "Li et al., ICML 2023, arXiv 2305.14876"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm")
    version: ClassVar[int] = 2

    unlearn_acc: float = field(default=0.2, ge=0, lt=1)
    """Step 1 ends at the first batch of which the model recognises at most this share. The authors
    look once per pass, and what they find is the mean over a pass in which accuracy falls."""
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
        size = min(self.batch_size, len(clean))
        ascent = Ascent(model, size, self.unlearn_acc, self.clip)
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
        )


class Ascent:
    """Step 1: gradient ascent until the model recognises few enough images, then no more steps.

    Before each step on a batch of full size, the recognised images of that batch are counted.
    Accuracy falls ever more quickly. So where the goal is met, the model goes back towards the
    weights of the count before, on the straight line between the two, to where it is just met.

    Args:
        model: the model.
        size: number of images of a batch of full size.
        goal: share of recognised images at which the ascent ends.
        clip: largest norm of the gradient.
    """

    def __init__(self, model: Classifier, size: int, goal: float, clip: float) -> None:
        self.model, self.size, self.goal, self.clip = model, size, goal, clip
        self.weights = Weights(model)
        self.reached = self.counted = False

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """-CE(f(x), y)."""
        logits = self.model(images)
        self.batch, self.answers = (images, labels), logits.argmax(1)
        return -F.cross_entropy(logits, labels)

    def gradient(self, backward: Backward) -> Tensor:
        """Leaves the clipped gradient; none once the goal is reached, so that no weight moves."""
        loss = torch.zeros_like(self.model.mean.sum()) if self.reached else backward()
        if not self.reached and len(self.answers) >= self.size:
            self.reached = self.meets_goal(self.answers)
            if self.reached and self.counted:
                self.go_back()
            self.weights.keep()
            self.counted = True
        if self.reached:
            self.weights.clear_gradients()
        else:
            nn.utils.clip_grad_norm_(self.weights.now, self.clip)
        return loss

    def meets_goal(self, answers: Tensor) -> bool:
        """Says whether at most the goal's share of the present batch is recognised."""
        return int((answers == self.batch[1]).sum()) <= self.goal * len(answers)

    @torch.no_grad()
    def go_back(self) -> None:
        """Bisects the way from the weights of the count before to the present ones."""
        present = [weight.clone() for weight in self.weights.now]
        self.weights.back()
        way, missed, met = self.weights.towards(present), 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (missed + met) / 2
            self.go(way, middle)
            if self.meets_goal(self.model(self.batch[0]).argmax(1)):
                met = middle
            else:
                missed = middle
        self.go(way, met)

    def go(self, way: Direction, share: float) -> None:
        """Goes a share of the way from the weights of the count before."""
        self.weights.back()
        self.weights.move([part.clone() for part in way], share)
