"""What an attack is, and what it leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from remission.errors import SpecError
from remission.method import Method, field, method
from remission.models import Classifier
from remission.seeding import Seed
from remission.training import Recipe, Trained, fit
from remission.triggers import Trigger
from remission.types import LabelledImages, as_bytes, as_float


@dataclass(frozen=True)
class Victim:
    """A backdoored model.

    Args:
        model: the trained model.
        trigger: what wakes its backdoor.
        target: the class that triggered images are given.
        poisoned: (n,) indices of the poisoned training images.
        trained: the losses of its training.
    """

    model: Classifier
    trigger: Trigger
    target: int
    poisoned: Tensor
    trained: Trained


@method
class Attack(Method, ABC):
    """Implants a backdoor by poisoning training data, all to one target class.

    An author writes :meth:`trigger`; selection, labels and training are the same for all attacks
    of this kind: images of every class but the target get the trigger and the target's label.
    """

    poison_rate: float = field(default=0.1, gt=0, lt=1)
    """Share of all training images that is poisoned (BackdoorBench: 0.1, 0.05, 0.01)."""
    target: int = field(default=0, ge=0)
    """The class that triggered images are given."""

    @abstractmethod
    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """The trigger for images of ``shape`` (C, H, W), before any training."""

    @final
    def __call__(
        self, model: Classifier, data: LabelledImages, recipe: Recipe, *, seed: Seed
    ) -> Victim:
        """Poisons a copy of ``data`` and trains ``model`` on it, in place.

        Args:
            model: freshly initialised.
            data: clean training images, on the model's device.
            recipe: how victim and control are trained.
            seed: of the trigger, the selection and the training.

        Raises:
            SpecError: too few images outside the target class, or no such class.
        """
        trigger = self.trigger(data.shape, seed.child("trigger")).to(data.images.device)
        chosen = self.select(data.labels, model.classes, seed.child("selection"))
        poisoned = poison(data, chosen, trigger, self.target)
        trained = fit(model, poisoned, recipe, seed=seed.child("training"), what="victim")
        return Victim(model, trigger, self.target, chosen, trained)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """(n,) indices to poison: n = poison_rate * N, none of the target class.

        Raises:
            SpecError: too few images outside the target class, or no such class.
        """
        if self.target >= classes:
            raise SpecError(
                f"target is {self.target}, the data set has {classes} classes",
                f"use a target from 0 to {classes - 1}",
            )
        others = (labels != self.target).nonzero().flatten()
        count = round(self.poison_rate * len(labels))
        if not 1 <= count <= len(others):
            raise SpecError(
                f"poison_rate {self.poison_rate} means {count} of {len(labels)} images, and "
                f"{len(others)} are not of the target class",
                "use a rate that takes at least one image and at most those",
            )
        order = torch.randperm(len(others), generator=seed.generator())
        return others[order[:count].to(others.device)].sort().values


def poison(
    data: LabelledImages, chosen: Tensor, trigger: Trigger, target: int | None
) -> LabelledImages:
    """A copy of ``data`` whose ``chosen`` images carry the trigger, kept in 8 bits.

    Args:
        data: uint8 or float images.
        chosen: (n,) indices.
        trigger: stamped on them.
        target: their new label; None keeps the true ones.
    """
    images, labels = data.images.clone(), data.labels.clone()
    stamped = as_bytes(trigger(as_float(images[chosen])))
    kept = stamped if images.dtype == torch.uint8 else as_float(stamped)
    images[chosen] = kept.to(images.dtype)
    if target is not None:
        labels[chosen] = target
    return LabelledImages(images, labels)
