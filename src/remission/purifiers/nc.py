"""NC: Neural Cleanse (Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao, IEEE S&P 2019).

A trigger is reverse-engineered for every class (:mod:`remission.inversion.neural_cleanse`). A class
whose mask is much smaller than the others', anomaly index > 2, is suspect. The model then unlearns
the triggers of suspect classes, by fine-tuning on clean images,

    min CE(f(x~), y), x~ = (1 - m) * x + m * p  in a share of the batch,

y the true label. Where no class is suspect, nothing is unlearned, and the model stays as it is.
With two classes none is ever suspect, since both are equally far from the median.

The paper unlearns for one epoch, on a tenth of the training images; it states no learning rate.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.inversion.neural_cleanse import Search, reverse_engineer
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import fit
from remission.training.batches import share_of
from remission.types import LabelledImages


@method
class NeuralCleanse(FineTuning, CleanPurifier):
    """Reverse-engineers a trigger for every class, and unlearns those that are outliers."""

    name: ClassVar[str] = "nc"
    paper: ClassVar[str] = "Wang et al., IEEE S&P 2019"

    share: float = field(default=0.2, gt=0, le=1)
    """Share of each batch that carries a trigger while unlearning (0.2 in the paper)."""
    epochs: int = field(default=1, ge=1)
    """Passes over the clean images while unlearning (1 in the paper)."""
    batch_size: int = field(default=32, ge=2)
    """Images per batch, in the search (32 in the authors' code) and in unlearning."""
    anomaly: float = field(default=2.0, ge=0)
    """Anomaly index above which a class with a small mask is suspect (2 in the paper)."""
    images: int = field(default=1000, ge=1)
    """Number of clean images per pass of the search (1000 in the authors' code)."""
    passes: int = field(default=1000, ge=1)
    """Number of passes per class at most (1000 in the authors' code); the search stops earlier
    where the mask shrinks no more. Fewer images or passes make many classes affordable."""
    mask_lr: float = field(default=0.1, gt=0)
    """Learning rate of Adam for mask and pattern (0.1 in the authors' code)."""
    cost: float = field(default=1e-3, gt=0)
    """First weight of the mask's norm (1e-3 in the authors' code)."""
    success: float = field(default=0.99, ge=0, le=1)
    """Share of images that a trigger must send to its class (0.99 in the paper)."""
    patience: int = field(default=5, ge=1)
    """Number of passes before the cost is raised or lowered (5 in the authors' code). Five times as
    many without a smaller mask end the search."""
    classes_at_once: int = field(default=8, ge=1)
    """Number of classes per forward pass of the search: more are faster and need more memory. The
    result is the same."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Searches triggers, then unlearns those of suspect classes."""
        triggers = reverse_engineer(
            model,
            clean,
            seed=seed.child("search"),
            search=self.search(),
            what=f"{self.name}: triggers",
        )
        suspects = triggers.flagged(self.anomaly)
        if not suspects:
            return model
        chosen = torch.tensor(suspects, device=clean.labels.device)

        def stamp(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            count = share_of(len(images), self.share)
            classes = chosen[torch.arange(count, device=chosen.device) % len(chosen)]
            stamped = triggers.stamp(images[:count], classes)
            return torch.cat([stamped, images[count:]]), labels

        fit(
            model,
            clean,
            self.recipe(),
            seed=seed,
            what=f"{self.name}: unlearning",
            transform=stamp,
        )
        return model

    def search(self) -> Search:
        """Returns the parameters of the search."""
        return Search(
            images=self.images,
            passes=self.passes,
            batch_size=self.batch_size,
            lr=self.mask_lr,
            cost=self.cost,
            success=self.success,
            patience=self.patience,
            stop_patience=5 * self.patience,
            classes_at_once=self.classes_at_once,
        )
