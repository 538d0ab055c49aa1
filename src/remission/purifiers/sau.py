"""SAU: shared adversarial unlearning (Wei, Zhang, Zha, Wu, NeurIPS 2023, arXiv 2307.10562).

f0 is the victim, which stays fixed; f is the model that is purified. For each batch, T steps of
sign gradient ascent make adversarial examples x' = x + eps that fool both models in the same way,
by

    max lambda_3 * (CE(f0(x'), y) + CE(f(x'), y)) / 2 - lambda_4 * JS(f0(x'), f(x')),

with JS the Jensen-Shannon divergence of the two softmax outputs, and ||eps||_inf <= bound. As in
the authors' code, an image counts in a cross entropy only while it does not fool that model, and in
JS only while it is no shared adversarial example, f0(x') = f(x') != y. Then f unlearns them:

    min lambda_1 * CE(f(x), y) - lambda_2 * mean over x of [y' != y] * log(1 - p_{y'}(f(x'))),

with y' the class that f0 gives x'. Batch norm is in eval mode throughout, as in the authors' code.

Here x' is clipped to [0, 1]; in the public code it is not. log(1 - p) is computed from the logits,
exactly; the public code clips p, and so leaves out images with p < 0.001. "Fools" means that the
class is not y, as in the paper; in the code it must also be another one than for x. The authors'
code augments no images.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import Augmenting, CleanPurifier, augmentation
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.types import LabelledImages


@method
class SAU(Augmenting, CleanPurifier):
    """Unlearning of adversarial examples that the victim and the purified model share."""

    name: ClassVar[str] = "sau"
    paper: ClassVar[str] = "Wei et al., NeurIPS 2023, arXiv 2307.10562"

    epochs: int = field(default=100, ge=1)
    """Passes over the clean images (100 in the authors' code)."""
    lr: float = field(default=1e-4, gt=0)
    """Learning rate of Adam, constant (1e-4 in the authors' code)."""
    batch_size: int = field(default=256, ge=2)
    """Images per batch (256 in the authors' code)."""
    bound: float = field(default=0.2, gt=0, le=1)
    """Largest change of a pixel, in [0, 1] (0.2 in the paper)."""
    steps: int = field(default=5, ge=1)
    """T, the number of steps of the ascent (5 in the paper), which starts with every pixel brighter
    by the bound."""
    step_size: float = field(default=0.2, gt=0, le=1)
    """Change of a pixel per step, in [0, 1] (0.2 in the paper)."""
    lambda_1: float = field(default=1.0, ge=0)
    """Weight of the clean loss (1 in the paper)."""
    lambda_2: float = field(default=1.0, ge=0)
    """Weight of the shared adversarial risk (1 in the paper)."""
    lambda_3: float = field(default=0.01, ge=0)
    """Weight of the cross entropies of the ascent (0.01 in the paper)."""
    lambda_4: float = field(default=1.0, ge=0)
    """Weight of the divergence in the ascent (1 in the paper)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the two steps above on each batch."""
        victim = copy.deepcopy(model).eval().requires_grad_(False)
        recipe = Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer="adam",
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            model.eval()  # fit puts it into train mode
            shared = self.examples(model, victim, images, labels)
            return self.loss(model, victim, images, shared, labels)

        fit(model, clean, recipe, seed=seed, what=self.name, loss=loss)
        return model

    def examples(
        self, model: Classifier, victim: Classifier, images: Tensor, labels: Tensor
    ) -> Tensor:
        """Makes the shared adversarial examples x' of a batch, (B, C, H, W) in [0, 1]."""
        low, high = (images - self.bound).clamp_min(0), (images + self.bound).clamp_max(1)
        shown = high
        for _ in range(self.steps):
            shown = shown.detach().requires_grad_(True)
            gain = self.gain(model(shown), victim(shown), labels)
            (slope,) = torch.autograd.grad(gain, shown)
            shown = torch.clamp(shown + self.step_size * slope.sign(), low, high)
        return shown.detach()

    def gain(self, logits: Tensor, victims: Tensor, labels: Tensor) -> Tensor:
        """Returns what the ascent maximises, summed so that each image has its own gradient.

        Args:
            logits: f(x'), (B, K).
            victims: f0(x'), (B, K).
            labels: (B,) true classes.
        """
        classes, victims_classes = logits.argmax(1), victims.argmax(1)
        adversarial = (classes != labels) & (classes == victims_classes)
        error = (classes == labels) * F.cross_entropy(logits, labels, reduction="none")
        error = error + (victims_classes == labels) * F.cross_entropy(
            victims, labels, reduction="none"
        )
        divergence = ~adversarial * jensen_shannon(logits, victims)
        return (self.lambda_3 * error / 2 - self.lambda_4 * divergence).sum()

    def loss(
        self, model: Classifier, victim: Classifier, images: Tensor, shared: Tensor, labels: Tensor
    ) -> Tensor:
        """Returns the loss by which f unlearns.

        Args:
            model: f.
            victim: f0.
            images: x, (B, C, H, W).
            shared: x', (B, C, H, W).
            labels: (B,) true classes.
        """
        logits, changed = model(torch.cat([images, shared])).chunk(2)
        with torch.no_grad():
            wrong = victim(shared).argmax(1)
        risk = (wrong != labels) * -log_not(changed, wrong)
        clean = F.cross_entropy(logits, labels)
        total: Tensor = self.lambda_1 * clean + self.lambda_2 * risk.mean()
        return total


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """Returns JS of the softmax outputs of two (B, K) logits, (B,) from 0 to log 2."""
    p, q = one.log_softmax(1), other.log_softmax(1)
    middle = torch.logaddexp(p, q) - torch.log(p.new_tensor(2.0))
    return ((p.exp() * (p - middle)).sum(1) + (q.exp() * (q - middle)).sum(1)) / 2


def log_not(logits: Tensor, classes: Tensor) -> Tensor:
    """log(1 - p_c), (B,): the logarithm of what the softmax gives to all other classes."""
    others = logits.scatter(1, classes[:, None], -torch.inf)
    return others.logsumexp(1) - logits.logsumexp(1)
