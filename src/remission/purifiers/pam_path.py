"""Path-sampled PAM: unlearning along the line back to the backdoored weights.

PAM (Min et al., NeurIPS 2024) takes each gradient at one point, a fixed step rho from the weights w
toward the backdoored weights w_bd. Here the point is drawn from the line, anew for every batch:

    t ~ U(0, t_max);  d = w_bd - w;
    g = (1 - a) * grad L(w) + a * grad L(w + t * d);  w <- SGD(w, g);

    L(w) = T^2 * KL( softmax(f_bd(x) / T) || softmax(f_w(x~) / T) ),

with f_bd the victim. x~ = G_u(x), u ~ U(1, strength), in a share of the batch: the inverted trigger
with u times its change, clip(x + u * (G(x) - x)), or, if G is a warp, with u times its flow. So on
nearly all of the line to w_bd the model learns to give a triggered image the output that the victim
gives the clean image. Labels are not used. The result is the exponential moving average of w,
corrected so that it does not contain its start, which is w_bd:

    m_k = m_{k-1} + (1 - b) / (1 - b^k) * (w_k - m_{k-1}),  m_1 = w_1.

Forward passes on the line do not change batch-norm statistics; these are collected anew in the end.
The victim must be able to classify what `augment` makes of the images, since it gives the answers.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import FineTuning, TriggerPurifier
from remission.seeding import Seed
from remission.training import Weights, fit, frozen_statistics, recalibrate
from remission.training.distillation import divergence
from remission.training.loop import Backward
from remission.training.weights import Direction
from remission.types import LabelledImages


@method
class PAMPath(FineTuning, TriggerPurifier):
    """Unlearning with gradients along the whole line back to the backdoored weights."""

    name: ClassVar[str] = "pam_path"
    version: ClassVar[int] = 3
    paper: ClassVar[str] = "this project, after PAM: Min et al., NeurIPS 2024, arXiv 2410.09838"
    published: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("clean images", "inverted trigger")

    share: float = field(default=0.075, gt=0, le=1)
    """Share of each batch that carries the trigger."""
    t_max: float = field(default=0.95, gt=0, le=1)
    """t_max, the farthest point of the line, where 1 is at the backdoored weights."""
    along: float = field(default=0.3, gt=0, lt=1)
    """a, the weight of the gradient on the line; the rest is the weight of the gradient at w."""
    temperature: float = field(default=2.0, gt=0)
    """T, which softens the outputs that are compared."""
    strength: float = field(default=2.0, ge=1)
    """The largest u, the factor of the trigger's change."""
    average: float = field(default=0.98, ge=0, lt=1)
    """b, the decay per step of the moving average of the weights; 0 takes the last weights."""
    epochs: int = field(default=60, ge=1)
    """Passes over the clean images."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Runs the update above."""
        victim = copy.deepcopy(model).eval().requires_grad_(False)
        weights, draws = Weights(model), seed.child("draws").generator()
        backdoored = [w.detach().clone() for w in weights.now]
        mean, done = [w.detach().clone() for w in weights.now], 0
        wanted = torch.empty(0)  # the victim's logits of the batch

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal wanted
            with torch.no_grad():
                wanted = victim(images)
            return self.stamp(trigger, images, draws), labels

        def gradient(backward: Backward) -> Tensor:
            t = self.t_max * float(torch.rand((), generator=draws))
            return self.gradient(model, weights, backdoored, t, backward)

        def follow() -> None:
            nonlocal done
            done += 1
            with torch.no_grad():
                torch._foreach_lerp_(mean, weights.now, self.newest(done))

        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            transform=transform,
            loss=lambda images, _: divergence(model(images), wanted, self.temperature),
            gradient=gradient,
            after_step=follow,
        )
        with torch.no_grad():
            torch._foreach_copy_(weights.now, mean)
        recalibrate(model, clean)
        return model

    def newest(self, done: int) -> float:
        """(1 - b) / (1 - b^k), the weight of w_k in the average after ``done`` = k steps."""
        return (1 - self.average) / (1 - self.average**done)

    def stamp(self, trigger: TriggerSource, images: Tensor, draws: torch.Generator) -> Tensor:
        """Puts x~ into the first ``share`` of a shuffled batch, with one u for all of them."""
        u = 1 + (self.strength - 1) * float(torch.rand((), generator=draws))
        return self.stamp_share(trigger, images, u)

    def gradient(
        self,
        model: Classifier,
        weights: Weights,
        backdoored: Direction,
        t: float,
        backward: Backward,
    ) -> Tensor:
        """Computes g, puts w back exactly, and returns the loss with the same weights a."""
        loss_at_w = backward()
        torch._foreach_mul_(weights.gradients(), (1 - self.along) / self.along)
        weights.keep()
        weights.move(weights.towards(backdoored), t)
        with frozen_statistics(model):
            loss_on_line = backward()
        weights.back()
        torch._foreach_mul_(weights.gradients(), self.along)
        return (1 - self.along) * loss_at_w + self.along * loss_on_line
