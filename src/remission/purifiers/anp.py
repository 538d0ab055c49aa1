"""ANP: adversarial neuron pruning (Wu, Wang, NeurIPS 2021, arXiv 2110.14430).

Channels whose change raises the loss most easily are pruned. There is a mask m in [0, 1] for each
channel of the batch norms. On each batch

    delta, xi = argmax CE(f(x; (m + delta) * gamma, (1 + xi) * beta), y),
    m <- SGD(m, grad [a * CE(f(x; m * gamma, beta), y)
                      + (1 - a) * CE(f(x; (m + delta) * gamma, (1 + xi) * beta), y)]), m in [0, 1].

The maximum is searched from a point drawn uniformly from the box |delta|, |xi| <= eps, by S steps
of length eps / S along the sign of the gradient. In the authors' code, and here by default, nothing
brings the noise back into the box: it reaches up to 2 * eps, and with one step about half of its
entries end beyond eps. The paper's formula has |delta|, |xi| <= eps: with ``project`` every step is
clamped to the box.

In the end the channels with the smallest masks are pruned. The authors' code reports test results
for many thresholds or numbers of channels, BackdoorBench chooses by the ASR on test images; here
the number is searched on clean images that are held out.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.masks import Masked, MaskPruning
from remission.seeding import Seed
from remission.training import fit
from remission.training.loop import updates_per_epoch
from remission.types import LabelledImages


@method
class ANP(MaskPruning):
    """Adversarial neuron pruning: masks that keep the loss low under perturbed batch norms."""

    name: ClassVar[str] = "anp"
    paper: ClassVar[str] = "Wu and Wang, NeurIPS 2021, arXiv 2110.14430"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm")
    version: ClassVar[int] = 2

    eps: float = field(default=0.4, gt=0, le=1)
    """Half the side of the box from which the relative noise of scales and shifts is drawn, and the
    length of all ascent steps together; so the noise is at most twice this."""
    project: bool = False
    """Whether each ascent step is clamped to the box, so that the noise is at most ``eps``: the
    paper's formula, which the authors' code does not follow."""
    alpha: float = field(default=0.2, ge=0, le=1)
    """a, the weight of the loss without perturbation."""
    steps: int = field(default=1, ge=1)
    """Number of ascent steps per batch, each of length eps / steps."""
    iterations: int = field(default=2000, ge=1)
    """Number of updates of the masks, rounded up to whole passes over the clean images."""

    def masks(self, model: Classifier, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        """Trains the masks by the two steps above; returns m of each batch norm, (D,)."""
        masked, noise = Masked(model), seed.child("noise").generator()
        steps = updates_per_epoch(len(clean), self.batch_size)
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
        """Searches delta and xi, (2, D), that raise the loss."""
        start = 2 * torch.rand(2, len(masked.mask), generator=generator) - 1
        noise = self.eps * start.to(masked.mask)
        for _ in range(self.steps):
            noise.requires_grad_(True)
            (uphill,) = torch.autograd.grad(F.cross_entropy(masked(images, noise), labels), noise)
            noise = noise.detach() + self.eps / self.steps * uphill.sign()
            if self.project:
                noise = noise.clamp(-self.eps, self.eps)
        return noise
