"""ANP: adversarial neuron pruning (Wu, Wang, NeurIPS 2021, arXiv 2110.14430).

Channels whose change raises the loss most easily are pruned. There is a mask m in [0, 1] for each
channel of the batch norms. On each batch

    delta, xi = argmax CE(f(x; (m + delta) * gamma, (1 + xi) * beta), y),  |delta|, |xi| <= eps,
    m <- SGD(m, grad [a * CE(f(x; m * gamma, beta), y)
                      + (1 - a) * CE(f(x; (m + delta) * gamma, (1 + xi) * beta), y)]), m in [0, 1];

where the maximum is searched by ascent along the gradient's sign from a random point. In the end
channels with m <= t are pruned. Public code leaves the box, since it takes a step of eps from
inside and does not project. BackdoorBench chooses t by the ASR on test images; here t is searched
on clean images that are held out.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.pruning import Masked, MaskPruning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class ANP(MaskPruning):
    """Adversarial neuron pruning: masks that keep the loss low under perturbed batch norms."""

    name: ClassVar[str] = "anp"
    paper: ClassVar[str] = "Wu and Wang, NeurIPS 2021, arXiv 2110.14430"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm")

    eps: float = field(default=0.4, gt=0, le=1)
    """Largest relative perturbation of a scale and a shift."""
    alpha: float = field(default=0.2, ge=0, le=1)
    """a, the weight of the loss without perturbation."""
    steps: int = field(default=1, ge=1)
    """Number of ascent steps per batch, each of length eps / steps."""
    iterations: int = field(default=2000, ge=1)
    """Number of updates of the masks, rounded up to whole passes over the clean images."""

    def masks(self, model: Classifier, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        """Trains the masks by the two steps above; returns m of each batch norm, (D,)."""
        masked, noise = Masked(model), seed.child("noise").generator()
        # the number of steps per pass
        steps = max(1, len(clean) // self.batch_size + (len(clean) % self.batch_size > 1))
        fit(
            masked,
            clean,
            self.mask_recipe(-(-self.iterations // steps)),
            seed=seed,
            what=self.name,
            loss=lambda images, labels: self.loss(masked, images, labels, noise),
            after_step=masked.clip,
        )
        return masked.masks()

    def loss(
        self, masked: Masked, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """a * CE(f(x; m)) + (1 - a) * CE(f(x; m + delta, xi)), where the noise has no gradient."""
        noise = self.perturbation(masked, images, labels, generator)
        perturbed = F.cross_entropy(masked(images, noise), labels)
        return self.alpha * F.cross_entropy(masked(images), labels) + (1 - self.alpha) * perturbed

    def perturbation(
        self, masked: Masked, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Searches delta and xi, (2, D) in [-eps, eps], that raise the loss."""
        start = 2 * torch.rand(2, len(masked.mask), generator=generator) - 1
        noise = self.eps * start.to(masked.mask)
        for _ in range(self.steps):
            noise.requires_grad_(True)
            (uphill,) = torch.autograd.grad(F.cross_entropy(masked(images, noise), labels), noise)
            noise = (noise.detach() + self.eps / self.steps * uphill.sign()).clamp(
                -self.eps, self.eps
            )
        return noise
