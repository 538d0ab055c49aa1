"""D3: distance-driven detoxification (Wei, Liu, Zha, ICCV 2025, arXiv 2411.09585).

The weights theta_s of the last linear layer are driven as far from their old values theta_init,s as
the clean loss allows: max d(theta_s, theta_init,s) subject to L_cl(theta) <= epsilon, solved as

    min  lambda * excess(theta) - d(theta_s, theta_init,s),
    excess(theta) = mean over x of max(0, CE(f(x), y) - epsilon)  or  max(0, L_cl(theta) - epsilon),
    theta_s <- theta_s * ||theta_init,s|| / ||theta_s||  after every step,

L_cl the mean of CE(f(x), y), and d the Frobenius distance; after the third line it cannot grow by
scaling. All parameters are trained. theta_s starts at new values, drawn uniformly and scaled to the
length of theta_init,s, since d has no gradient at theta_init,s itself.

The first excess, one hinge per image, is that of the authors' code, which made their results, and
the default, with the code's lambda of 0.5; the second, one hinge per batch, is the paper's formula,
and its lambda is 10. As in the code, the objective is divided by 1 + lambda where lambda > 1, which
acts like a smaller learning rate.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class D3(FineTuning, CleanPurifier):
    """Drives the last layer as far from its backdoored weights as the clean loss allows."""

    name: ClassVar[str] = "d3"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "Wei et al., ICCV 2025, arXiv 2411.09585"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "last linear layer")

    epsilon: float = field(default=0.1, gt=0)
    """Clean loss, a cross entropy in nats, up to which only the distance counts (the paper's)."""
    hinge: Literal["image", "batch"] = "image"
    """What is compared with epsilon: the loss of each image, as in the authors' code, or the mean
    loss of the batch, as in the paper's formula."""
    lambda_clean: float = field(default=0.5, gt=0)
    """lambda, the weight of the clean loss above epsilon (0.5 in the authors' code, 10 in the
    paper). Where it is above 1, the objective is divided by 1 + lambda."""
    epochs: int = field(default=100, ge=1)
    """Passes over the clean images (100 in the public code)."""
    batch_size: int = field(default=256, ge=2)
    """Images per batch (256 in the public code)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the objective above."""
        weight = model.final_linear.weight
        old = weight.detach().clone()
        fresh = torch.rand(old.shape, generator=seed.child("head").generator()) - 0.5

        def project() -> None:
            with torch.no_grad():
                weight.mul_(old.norm() / weight.norm())

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            objective: Tensor = (
                self.lambda_clean * self.excess(model(images), labels) - (weight - old).norm()
            )
            return objective / (1 + self.lambda_clean) if self.lambda_clean > 1 else objective

        with torch.no_grad():
            weight.copy_(fresh)
        project()
        fit(model, clean, self.recipe(), seed=seed, what=self.name, loss=loss, after_step=project)
        return model

    def excess(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the clean loss above epsilon, a scalar.

        Args:
            logits: f(x), (B, K).
            labels: y, (B,).
        """
        losses = F.cross_entropy(logits, labels, reduction="none")
        if self.hinge == "batch":
            return F.relu(losses.mean() - self.epsilon)
        return F.relu(losses - self.epsilon).mean()
