"""The parameters of the retuning attack; their defaults are the paper's."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeInt, model_validator
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.reactivations.base import CraftedPoisoning
from remission.reactivations.retuning_data import CleanPart, Order
from remission.seeding import Seed
from remission.training import Recipe
from remission.training.batches import Augment
from remission.training.loop import Optimizer, Schedule


@method
class RetuningParameters(CraftedPoisoning):
    """How a model is retuned, and on which images."""

    budgets: tuple[NonNegativeInt, ...] = field(default=(1, 5, 20, 100), min_length=1, strict=False)
    """Numbers of poisoned images, with one retuning for each (5 in the paper); 0: clean images
    alone. The images of a smaller budget are among those of a larger one."""
    epochs: int = field(default=5, ge=1)
    """Passes over the attacker's images (5 in the paper)."""
    layers: Literal["all", "head", "norms"] = "all"
    """The layers that are trained: all, as in the paper; head, the last linear layer alone, on
    features in eval mode, as the model is used; or norms, scales and shifts of the normalisation
    layers alone."""
    optimizer: Optimizer = "sgd"
    """sgd, as in the paper; adam or adamw, which need a learning rate of about 0.001."""
    lr: float = field(default=0.01, gt=0)
    """Highest learning rate (0.01 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD (0.9 in the paper); Adam and AdamW do not use it."""
    weight_decay: float = field(default=0.0, ge=0, later=True)
    """L2 penalty on the weights that are trained (0 in the paper); with adamw it is decoupled."""
    schedule: Schedule = field(default="constant", later=True)
    """Learning rate after the warm-up: constant, as in the paper; cosine, down to 0; or one_cycle,
    up over the first 30 % and down to 0."""
    warmup: float = field(default=0.0, ge=0, lt=1, later=True)
    """Share of the steps in which the learning rate rises linearly (0 in the paper)."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch (128 in the paper)."""
    augment: Augment = "none"
    """Augmentation of the attacker's images."""
    clean: CleanPart = field(default="own", later=True)
    """The attacker's clean images: own, as in the paper; corrupted, with Gaussian noise of standard
    deviation 0.1, for images of another source; or none, so that an epoch shows the poisoned images
    alone."""
    order: Order = field(default="mixed", later=True)
    """When images are shown: mixed, as in the paper; poison_only, each poisoned image again and
    again, until an epoch is as long as with clean ones; or clean_then_poison, the first half of the
    epochs with clean images alone, the rest as for poison_only."""
    seed: int = field(default=0, ge=0, later=True)
    """Another number draws other images and another order for the same seed of the spec."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.clean == "none" and self.order != "mixed":
            raise SpecError(
                f"'order' is {self.order!r}, and there are no clean images: 'clean' is 'none'",
                "leave one of the two keys out",
            )
        if self.clean == "corrupted" and self.order == "poison_only":
            raise SpecError(
                "'clean' is 'corrupted', and no clean image is shown: 'order' is 'poison_only'",
                "leave one of the two keys out",
            )
        if self.order == "clean_then_poison" and self.epochs < 2:
            raise SpecError(
                f"'order' is 'clean_then_poison', and 'epochs' is {self.epochs}",
                "use 2 epochs at least, half of them for the clean images",
            )
        self.check_budget(min(self.budgets))
        return self

    def check_budget(self, budget: int) -> None:
        """Checks that a retuning with so many poisoned images has images at all.

        Raises:
            SpecError: there are neither clean nor poisoned images.
        """
        key = "clean" if self.clean == "none" else "order"
        if not budget and (self.clean == "none" or self.order == "poison_only"):
            raise SpecError(
                f"a budget of 0 poisoned images, and '{key}' is {getattr(self, key)!r}: no image "
                "is left",
                f"use budgets of at least 1, or leave out '{key}'",
            )

    def own_seed(self, seed: Seed) -> Seed:
        """Returns the source of everything random, which depends on the method's own number."""
        return seed.child("own", self.seed) if self.seed else seed

    @property
    def recipe(self) -> Recipe:
        """How the retuning optimises."""
        return Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            batch_size=self.batch_size,
            augment=self.augment,
        )

    def freeze(self, model: Classifier) -> Classifier:
        """Lets only the layers that are trained require gradients; returns ``model``.

        Raises:
            SpecError: the model has no normalisation layer with a scale.
        """
        if self.layers == "head":
            model.requires_grad_(False).final_linear.requires_grad_(True)
        if self.layers == "norms":
            model.requires_grad_(False)
            for layer in model.modules():
                if isinstance(layer, _NORMS):
                    layer.requires_grad_(True)
            if not any(weight.requires_grad for weight in model.parameters()):
                raise SpecError(
                    f"retuning: 'layers' is 'norms', and {model.arch} normalises with no weights",
                    'use layers = "all" or "head"',
                )
        return model


_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Normalisation layers; the first is the base of batch and instance normalisation."""
