"""BTI-DBF(U): unlearning an inverted trigger (Xu, Huang, Li, Qin, Ren, ICLR 2024).

    min CE(f(x~), y) + MSE(h(x), h(x~)),

where x~ is G(x) for a share of the batch and x for the rest, y is the true label, and h is the last
feature map. Each round first trains the generator G further against the purified model; one Adam
keeps its state over all rounds. The authors' code triggers 10 % of a batch, that of Min et al.
(NeurIPS 2024) 20 %, which is the default here. It computes h(x) and h(x~) in two passes in train
mode, so that images without the trigger have a distance too, by the batches' statistics; here one
pass computes both.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import Augmenting, TriggerPurifier, augmentation
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.batches import share_of
from remission.training.loop import make_optimizer
from remission.types import LabelledImages


@method
class BTIDBFUnlearning(Augmenting, TriggerPurifier):
    """Unlearning of an inverted trigger; triggered images keep the features of clean ones."""

    name: ClassVar[str] = "bti_dbf"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "Xu et al., ICLR 2024"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "inverted trigger", "last feature map")

    rounds: int = field(default=5, ge=1)
    """Number of rounds; each but the first begins with inverting the trigger again."""
    epochs: int = field(default=30, ge=1)
    """Passes over the clean images per round."""
    lr: float = field(default=1e-4, gt=0)
    """Learning rate of Adam."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Runs the rounds above."""
        recipe = Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer="adam",
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )
        optimizer = make_optimizer([p for p in model.parameters() if p.requires_grad], recipe)
        for turn in range(self.rounds):
            seed_now = seed.child("round", turn)
            if turn:
                trigger = trigger.renewed(model, clean, seed=seed_now.child("inversion"))

            def loss(
                images: Tensor, labels: Tensor, trigger: TriggerSource = trigger
            ) -> Tensor:  # stamps here and not in transform=, since the loss needs x as well
                return self.loss(model, images, self.stamp_share(trigger, images), labels)

            fit(model, clean, recipe, seed=seed_now, what=self.name, loss=loss, optimizer=optimizer)
        return model

    def loss(self, model: Classifier, images: Tensor, triggered: Tensor, labels: Tensor) -> Tensor:
        """CE(f(x~), y) + MSE(h(x), h(x~)).

        Means are over the batch. The second term is 0 for images without the trigger: one pass, and
        so the same batch statistics, computes both features.

        Args:
            model: f.
            images: x, (B, C, H, W).
            triggered: x~, (B, C, H, W), with the trigger in the first ``share``.
            labels: y, (B,).
        """
        count = share_of(len(images), self.share)
        both = model.features(torch.cat([triggered, images[:count]]))
        features, clean = both[: len(images)], both[len(images) :]
        wide = torch.promote_types(both.dtype, torch.float32)
        apart = F.mse_loss(features[:count].to(wide), clean.to(wide)) * count / len(images)
        return F.cross_entropy(model.classify(features), labels) + apart
