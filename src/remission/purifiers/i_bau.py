"""I-BAU: unlearning a universal perturbation by implicit hypergradients (Zeng et al., ICLR 2022).

    min over w of max over ||delta||_2 <= C of H(delta, w) = mean CE(f_w(x + delta), y).

Each round starts with delta = 0 and takes steps of projected gradient ascent, one per batch, on
-G(delta, w) = H - penalty * ||delta||^2. Then it takes steps of Adam along the hypergradient, which
takes into account that the best delta depends on w. Let delta be a fixed point of the step
Phi(delta, w) = P(delta - eta * grad_delta G), P the projection onto the ball. The hypergradient is

    dH/dw = grad_w H + (d Phi / d w)^T v,
    v = sum over k < K of J^k grad_delta H,  J = (d Phi / d delta)^T,

where H of the hypergradient has delta on a ``share`` of the images only (below), and v is the
truncated Neumann series of (I - J)^-1, computed by the iteration v <- J v + grad_delta H from v =
0. It converges where delta is a maximum; elsewhere its terms may grow.

The units of delta and of its norm are those of pixels in [0, 1], as in the authors' code, which has
no normalisation. BackdoorBench adds the same numbers to normalised images, where they are about
four times smaller. x + delta is not clipped, as in the formula. Batch norm is in eval mode
throughout, and its statistics stay as they are.

Where the public code differs: it has no bound C (the projection is commented out), ascends on
predicted labels, and computes Phi on the same first batch, whatever the batch of H. In the paper's
H all images carry delta. Its code, which made its results, adds delta to 1 % of a batch in the
outer problem; the rest keeps the accuracy (``share``).
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.purifiers.base import Augmenting, CleanPurifier, augmentation
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.training.batches import share_of
from remission.training.loop import make_optimizer
from remission.training.second_derivatives import SecondDerivatives
from remission.types import LabelledImages


@method
class IBAU(Augmenting, CleanPurifier):
    """Minimax unlearning of a universal perturbation, with implicit hypergradients."""

    name: ClassVar[str] = "i_bau"
    paper: ClassVar[str] = "Zeng et al., ICLR 2022, arXiv 2110.03735"

    rounds: int = field(default=5, ge=1)
    """Number of rounds, each with a new delta and one pass over the clean images (5 in the authors'
    code)."""
    lr: float = field(default=1e-3, gt=0)
    """Learning rate of Adam (1e-3 in the authors' code, 1e-4 in BackdoorBench)."""
    batch_size: int = field(default=100, ge=2)
    """Images per batch (100 in the authors' code)."""
    norm_bound: float = field(default=10.0, gt=0)
    """C, the largest Euclidean norm of delta, with pixels in [0, 1] (10 in the authors' code)."""
    inner_epochs: int = field(default=1, ge=1)
    """Passes over the clean images that search delta (1 in the authors' code)."""
    inner_lr: float = field(default=10.0, gt=0)
    """Step of the ascent that searches delta (10 in the authors' code)."""
    penalty: float = field(default=1e-3, ge=0)
    """Weight of ||delta||^2 (1e-3 in the authors' code)."""
    iterations: int = field(default=5, ge=1)
    """K, the number of terms of the Neumann series (5 in the authors' code)."""
    eta: float = field(default=0.1, gt=0)
    """eta, the step of Phi (0.1 in the authors' code)."""
    share: float = field(default=0.01, gt=0, le=1)
    """Share of each batch to which delta is added, at least one image (0.01 in the authors' code; 1
    is the paper's formula)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the rounds above."""
        recipe = Recipe(
            epochs=1,
            lr=self.lr,
            optimizer="adam",
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )
        optimizer = make_optimizer(list(model.parameters()), recipe)
        for turn in range(self.rounds):
            seed_now = seed.child("round", turn)
            model.eval()
            delta = self.perturbation(model, clean, seed_now.child("delta"))

            def loss(images: Tensor, labels: Tensor, delta: Tensor = delta) -> Tensor:
                model.eval()  # fit puts it into train mode
                return self.loss(model, delta, images, labels)

            fit(model, clean, recipe, seed=seed_now, what=self.name, loss=loss, optimizer=optimizer)
        return model

    def perturbation(self, model: Classifier, clean: LabelledImages, seed: Seed) -> Tensor:
        """Searches the delta of a round, (1, C, H, W)."""
        delta = torch.zeros(1, *clean.shape, dtype=model.mean.dtype, device=clean.labels.device)
        generator, augment = seed.generator(), augmentation(self.augment)
        count = -(-len(clean) // self.batch_size)
        for _ in range(self.inner_epochs):
            stream = batches(clean, self.batch_size, generator=generator, augment=augment)
            for images, labels in tracked(stream, f"{self.name}: perturbation", count):
                delta = delta.detach().requires_grad_(True)
                loss = self.inner(model, delta, images, labels)
                (slope,) = torch.autograd.grad(loss, delta)
                delta = self.project(delta - self.inner_lr * slope)
        return delta.detach()

    def inner(self, model: Classifier, delta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """G = -CE(f(x + delta), y) + penalty * ||delta||^2."""
        loss = F.cross_entropy(model(images + delta), labels)
        total: Tensor = self.penalty * delta.square().sum() - loss
        return total

    def project(self, delta: Tensor) -> Tensor:
        """Applies P: returns the nearest point of the ball of radius C."""
        length = torch.linalg.vector_norm(delta).clamp_min(1e-12)
        factor: Tensor = self.norm_bound / length
        return delta * factor.clamp_max(1.0)

    def loss(self, model: Classifier, delta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Returns H on a batch, whose gradient is made the hypergradient.

        Args:
            model: f_w, in eval mode.
            delta: (1, C, H, W), the fixed point.
            images: x, (B, C, H, W), shuffled.
            labels: y, (B,) true classes.
        """
        delta = delta.detach().requires_grad_(True)
        count = share_of(len(images), self.share)
        moved = torch.cat([images[:count] + delta, images[count:]])
        outer = F.cross_entropy(model(moved), labels)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        # one pass for both; the gradients by the weights are added where the loss is differentiated
        direct, *gradients = torch.autograd.grad(outer, [delta, *weights], materialize_grads=True)
        given = sum((w * g).sum() for w, g in zip(weights, gradients, strict=True))
        # fused attention has no second derivatives
        with sdpa_kernel(SDPBackend.MATH), SecondDerivatives() as second:
            inner = self.inner(model, delta, images, labels)
        (slope,) = torch.autograd.grad(inner, delta, create_graph=True)
        mapped = self.project(delta - self.eta * slope)
        v = direct
        for _ in range(self.iterations - 1):
            (answer,) = torch.autograd.grad(mapped, delta, v, retain_graph=True)
            v = answer + direct
        linked = given + (mapped * v).sum()  # the latter's gradient is (d Phi / d w)^T v
        second.by_weights = True
        return outer.detach() + (linked - linked.detach())
