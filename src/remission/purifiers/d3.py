"""D3: distance-driven detoxification (Wei, Liu, Zha, ICCV 2025, arXiv 2411.09585).

The weights theta_s of the last linear layer are driven as far from their old values theta_init,s as
the clean loss allows: max d(theta_s, theta_init,s) subject to L_cl(theta) <= epsilon, solved as

    min  lambda * max(0, L_cl(theta) - epsilon) - d(theta_s, theta_init,s),
    theta_s <- theta_s * ||theta_init,s|| / ||theta_s||  after every step,

d the Frobenius distance; after the second line it cannot grow by scaling. All parameters are
trained. theta_s starts at new values, drawn uniformly and scaled to the length of theta_init,s,
since d has no gradient at theta_init,s itself.

The objective is divided by 1 + lambda, as in the public code, so that the learning rate means what
it means elsewhere. That code compares each image's loss with epsilon; here it is the mean loss, as
in the paper. Its lambda is 0.5; the paper's is 10.
"""

from __future__ import annotations

from typing import ClassVar

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
    paper: ClassVar[str] = "Wei et al., ICCV 2025, arXiv 2411.09585"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "last linear layer")

    epsilon: float = field(default=0.1, gt=0)
    """Clean loss, a cross entropy in nats, up to which only the distance counts (the paper's)."""
    lambda_clean: float = field(default=10.0, gt=0)
    """lambda, the weight of the clean loss above epsilon (10 in the paper, 0.5 in its code)."""
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
            excess = F.relu(F.cross_entropy(model(images), labels) - self.epsilon)
            distance = (weight - old).norm()
            objective: Tensor = self.lambda_clean * excess - distance
            return objective / (1 + self.lambda_clean)

        with torch.no_grad():
            weight.copy_(fresh)
        project()
        fit(model, clean, self.recipe(), seed=seed, what=self.name, loss=loss, after_step=project)
        return model
