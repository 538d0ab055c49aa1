"""PAM, path-aware minimisation (Min, Qin, Zhang, Shen, Cheng, NeurIPS 2024, section 5).

While unlearning, each gradient is taken not at the weights w but at a point that lies nearer to the
backdoored weights w_bd:

    d = w_bd - w;  w' = w + rho * d / ||d||_2;  w <- SGD(w, grad CE(f_{w'}(x~), y)),

where w' goes no farther than w_bd unless ``cap`` is False, with the norm over all parameters
together (including batch-norm scale and shift, but not running statistics); x~ carries the trigger
in a share of the batch, and y is the true label. Forward passes at w' collect the running
statistics. The trigger is inverted again before every round but the first; in the authors' code the
generator stays fixed after the first round. There the learning rate is constant, and one optimiser
serves all rounds; here each round has its own, with the schedule of all fine-tuning.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import FineTuning, TriggerPurifier
from remission.seeding import Seed
from remission.training import Weights, fit, recalibrate
from remission.training.loop import Backward
from remission.training.weights import Direction, norm
from remission.types import LabelledImages


@method
class PAM(FineTuning, TriggerPurifier):
    """Path-aware minimisation: unlearning with gradients taken on the way back to the backdoor."""

    name: ClassVar[str] = "pam"
    paper: ClassVar[str] = "Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "inverted trigger")

    rho: float = field(default=0.5, gt=0)
    """Distance of w' from w, toward the backdoored weights (0.3 to 0.9 in the paper's ablation)."""
    cap: bool = True
    """Whether w' goes no farther than w_bd where this is nearer than rho; the paper's public code
    goes beyond it."""
    recalibrate: bool = True
    """Whether batch-norm statistics are collected anew after each round, since training collects
    those of w'."""
    rounds: int = field(default=3, ge=1)
    """Number of rounds; each but the first begins with inverting the trigger again."""
    epochs: int = field(default=30, ge=1)
    """Passes over the clean images per round."""
    momentum: float = field(default=0.1, ge=0, lt=1)
    """Momentum of SGD."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Runs the rounds above, all with the same w_bd."""
        weights = Weights(model)
        backdoored = [w.detach().clone() for w in weights.now]
        for turn in range(self.rounds):
            seed_now = seed.child("round", turn)
            if turn:
                self._settle(model, clean)
                trigger = trigger.renewed(model, clean, seed=seed_now.child("inversion"))
            self._unlearn(model, clean, weights, backdoored, trigger, seed_now)
        self._settle(model, clean)
        return model

    def _unlearn(
        self,
        model: Classifier,
        clean: LabelledImages,
        weights: Weights,
        backdoored: Direction,
        trigger: TriggerSource,
        seed: Seed,
    ) -> None:
        """Runs one round of the update above."""
        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            transform=lambda images, labels: (self.stamp_share(trigger, images), labels),
            gradient=lambda backward: self.gradient(weights, backdoored, backward),
        )

    def gradient(self, weights: Weights, backdoored: Direction, backward: Backward) -> Tensor:
        """Computes the gradient at w', puts w back exactly, and returns the loss at w'."""
        direction = weights.towards(backdoored)
        distance = norm(direction)
        # at w = w_bd there is no direction, and w' = w
        step = torch.where(distance > 0, self.rho / distance.clamp_min(1e-12), 0.0)
        weights.keep()
        weights.move(direction, step.clamp_max(1.0) if self.cap else step)
        loss = backward()
        weights.back()
        return loss

    def _settle(self, model: Classifier, clean: LabelledImages) -> None:
        """Collects the batch-norm statistics of the present weights, if this is wanted."""
        if self.recalibrate:
            recalibrate(model, clean)
