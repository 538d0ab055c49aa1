"""BTI-DBF(U): unlearning an inverted trigger (Xu, Huang, Li, Qin, Ren, ICLR 2024).

min CE(f(x~), y) + MSE(h(x), h(x~)), where a share of the batch x~ is G(x) and y is true; h is the
last feature map. The generator G is trained further against the purified model each round; one Adam
goes through all rounds. The authors' code triggers 10 % of a batch, Min et al.'s (NeurIPS 2024)
20 %, which is the default here.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import TriggerPurifier
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.batches import Augment
from remission.training.loop import make_optimizer
from remission.types import LabelledImages


@method
class BTIDBFUnlearning(TriggerPurifier):
    """Unlearning of an inverted trigger, features of triggered images held to the clean ones'."""

    name: ClassVar[str] = "bti_dbf"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "Xu et al., ICLR 2024"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "inverted trigger", "last feature map")

    rounds: int = field(default=5, ge=1)
    """Rounds of unlearning; from the second on the trigger is inverted again first."""
    epochs: int = field(default=30, ge=1)
    """Passes over the clean images in a round."""
    lr: float = field(default=1e-4, gt=0)
    """Learning rate of Adam."""
    batch_size: int = field(default=128, ge=2)
    """Images a batch."""
    augment: Augment = "crop_flip"
    """Augmentation of the clean images."""

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Runs the rounds above."""
        recipe = Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer="adam",
            batch_size=self.batch_size,
            augment=self.augment,
        )
        optimizer = make_optimizer([p for p in model.parameters() if p.requires_grad], recipe)
        for turn in range(self.rounds):
            here = seed.child("round", turn)
            if turn:
                trigger = trigger.renewed(model, clean, seed=here.child("inversion"))

            def loss(
                images: Tensor, labels: Tensor, trigger: TriggerSource = trigger
            ) -> Tensor:  # sees the batch before and after its share got the trigger
                return self.loss(model, images, self.stamp_share(trigger, images), labels)

            fit(model, clean, recipe, seed=here, what=self.name, loss=loss, optimizer=optimizer)
        return model

    def loss(self, model: Classifier, images: Tensor, triggered: Tensor, labels: Tensor) -> Tensor:
        """CE(f(x~), y) + MSE(h(x), h(x~)).

        The mean is over the batch. Images without the trigger add nothing: one pass, with the same
        batch statistics, sees both.
        """
        count = max(1, round(self.share * len(images)))
        both = model.features(torch.cat([triggered, images[:count]]))
        features, clean = both[: len(images)], both[len(images) :]
        wide = torch.promote_types(both.dtype, torch.float32)
        apart = F.mse_loss(features[:count].to(wide), clean.to(wide)) * count / len(images)
        return F.cross_entropy(model.classify(features), labels) + apart
