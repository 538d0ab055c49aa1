"""FT-SAM: fine-tuning with adaptive sharpness-aware minimisation (Zhu et al., ICCV 2023).

    g = grad L(w);  eps = rho * (w * w * g) / || |w| * g ||_2;  w <- SGD(w, grad L(w + eps)),

with products element by element, a norm over all weights, and L the cross entropy with smoothed
labels. The running statistics of batch norm follow the first gradient only.

BackdoorBench steps its cosine of 100 epochs once per batch, so that the rate goes up and down
several times, and its command line overrides the rho of its configurations. Here the cosine spans
the training, and rho is the parameter below.
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
from remission.training.sharpness import uphill
from remission.training.weights import norm
from remission.types import LabelledImages


@method
class FTSAM(FineTuning, CleanPurifier):
    """Fine-tuning with adaptive sharpness-aware minimisation."""

    name: ClassVar[str] = "ft_sam"
    paper: ClassVar[str] = "Zhu et al., ICCV 2023, arXiv 2304.11823"

    rho: float = field(default=2.0, gt=0)
    """Length of the perturbation in the adaptive norm (2 in BackdoorBench)."""
    label_smoothing: float = field(default=0.1, ge=0, lt=1)
    """e, the smoothing of the labels: each of K classes gets e / K, the true one 1 - e more. The
    0.1 of BackdoorBench is shared by the other classes alone, which is e = 0.1 * K / (K - 1) here.
    """
    epochs: int = field(default=100, ge=1)
    """Passes over the clean images (100 in BackdoorBench)."""
    batch_size: int = field(default=256, ge=2)
    """Images per batch (256 in BackdoorBench)."""
    weight_decay: float = field(default=5e-4, ge=0)
    """L2 penalty on all parameters (5e-4 in BackdoorBench)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the update above."""
        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=self.name,
            loss=lambda images, labels: F.cross_entropy(
                model(images), labels, label_smoothing=self.label_smoothing
            ),
            gradient=uphill(model, sam_direction, self.rho),
        )
        return model


@torch.no_grad()
def sam_direction(weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
    """(w * w * g) / || |w| * g ||_2; zero where the gradient is zero."""
    scaled = list(torch._foreach_mul(torch._foreach_abs(weights), gradients))
    length = norm(scaled).clamp_min(1e-12)
    direction = list(torch._foreach_mul(torch._foreach_abs(weights), scaled))
    torch._foreach_div_(direction, length)
    return direction
