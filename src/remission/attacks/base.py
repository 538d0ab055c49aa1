"""What an attack is, and what it returns.

An attack is one short file. Its class derives from one of three bases, chosen by its threat model:

==================  ===========================  =================================================
base                the attacker                 the author of a method writes
==================  ===========================  =================================================
`DirtyLabel`        changes images and labels    ``trigger``; ``prepare`` if it is learned
`CleanLabel`        changes images only          the same; ``craft`` if poisoned images differ from
                                                 triggered ones
`TrainingAttack`    trains the victim            ``trigger``, ``train``
==================  ===========================  =================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from remission.attacks.poison_rate import possible_rates
from remission.attacks.poisoning import Change, poison
from remission.errors import SpecError
from remission.method import Method, field, method, returned
from remission.metrics import goals
from remission.models import Classifier, build_like
from remission.seeding import Seed
from remission.training import Recipe, Trained, fit
from remission.triggers import Trigger
from remission.types import LabelledImages, Target, as_bytes

Perturb = Callable[[Classifier, Tensor, Tensor], Tensor]
"""(model in eval mode, images, labels) -> images that the model is trained on instead."""


@dataclass(frozen=True, eq=False)
class Victim:
    """A backdoored model, and what the attacker knows of its backdoor.

    Args:
        model: the trained model.
        trigger: the trigger of its backdoor.
        target: the class that triggered images are meant to get.
        poisoned: (n,) indices of the poisoned training images.
        trained: the losses of its training.
        crafted: up to :data:`KEPT` of the poisoned training images of a clean-label attack, uint8,
            with their true labels; None after other attacks, whose attacker makes such images from
            any image, by the trigger and the label.
    """

    model: Classifier
    trigger: Trigger
    target: Target
    poisoned: Tensor
    trained: Trained
    crafted: LabelledImages | None = None


KEPT = 500
"""The most images that a victim of a clean-label attack keeps of those that were crafted for it."""


@dataclass(frozen=True, eq=False)
class TrainedOnCrafted(Trained):
    """The result of a training on crafted images.

    Args:
        crafted: some of them, in an order that was drawn, see :class:`Victim`.
    """

    crafted: LabelledImages


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What an attack works with.

    Args:
        model: the model that becomes the victim, freshly initialised.
        data: clean training images, on the model's device.
        recipe: how victim and control are trained.
        chosen: (n,) indices of the images to poison.
        trigger: as :meth:`Attack.trigger` made it.
        seed: the source of everything random in the attack.
    """

    model: Classifier
    data: LabelledImages
    recipe: Recipe
    chosen: Tensor
    trigger: Trigger
    seed: Seed

    def surrogate(self, perturb: Perturb | None = None) -> Classifier:
        """Trains a model of the attacker's own: the victim's architecture, other first weights.

        Args:
            perturb: changes each batch, for adversarial training; without it the model is trained
                on clean images.

        Returns:
            The model in eval mode.
        """
        own = build_like(self.model, seed=self.seed.child("surrogate"))
        own = own.to(self.data.labels.device)

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            if perturb:
                images = perturb(own.eval(), images, labels)
                own.train()
            return images, labels

        seed = self.seed.child("surrogate")
        fit(own, self.data, self.recipe, seed=seed, what="surrogate", transform=transform)
        return own.eval()


@method
class Attack(Method, ABC):
    """Implants a backdoor."""

    poison_rate: float = field(default=0.1, gt=0, lt=1)
    """Share of all training images that are poisoned (BackdoorBench: 0.1, 0.05, 0.01)."""
    target: NonNegativeInt | Literal["all-to-all"] = 0
    """The class that triggered images shall get; all-to-all: the class after the true one."""

    @abstractmethod
    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Makes the trigger for images of ``shape`` (C, H, W), before any training.

        Training may change its values later, but never its keys and shapes: a stored trigger is
        loaded into what this method returns.
        """

    def prepare(self, setting: Setting) -> None:
        """Trains ``setting.trigger``, in place, before the victim; nothing if it is fixed."""

    @abstractmethod
    def train(self, setting: Setting) -> Trained:
        """Trains ``setting.model``, in place, so that it has the backdoor."""

    @final
    def __call__(
        self, model: Classifier, data: LabelledImages, recipe: Recipe, *, seed: Seed
    ) -> Victim:
        """Trains ``model``, in place, on a copy of ``data`` that is poisoned.

        Args:
            model: the model that becomes the victim, freshly initialised.
            data: clean training images, on the model's device.
            recipe: how victim and control are trained.
            seed: the source of the trigger, of the selection and of the training.

        Raises:
            SpecError: there are too few images to poison, there is no such class, or the trigger
                does not fit into the images.
        """
        trigger = self.trigger(data.shape, seed.child("trigger"))
        trigger = returned(self, "trigger", trigger, Trigger)
        trigger.to(data.labels.device)
        chosen = self.select(data.labels, model.classes, seed.child("selection"))
        setting = Setting(
            model=model, data=data, recipe=recipe, chosen=chosen, trigger=trigger, seed=seed
        )
        self.prepare(setting)
        trained = returned(self, "train", self.train(setting), Trained)
        trigger.eval().requires_grad_(False)
        crafted = trained.crafted if isinstance(trained, TrainedOnCrafted) else None
        return Victim(model, trigger, self.target, chosen, trained, crafted)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Draws the images to poison: n = poison_rate * N of the :meth:`eligible` ones.

        Returns:
            Their indices, (n,), ascending.

        Raises:
            SpecError: too few images are eligible, or there is no such class.
        """
        if self.target != "all-to-all" and self.target >= classes:
            raise SpecError(
                f"target is {self.target}, the data set has {classes} classes",
                f"use a target from 0 to {classes - 1}",
            )
        allowed = self.eligible(labels, classes).nonzero().flatten()
        count = round(self.poison_rate * len(labels))
        if not 1 <= count <= len(allowed):
            raise SpecError(
                f"poison_rate {self.poison_rate} means {count} of {len(labels)} images, and "
                f"{len(allowed)} are {self.where}",
                possible_rates(len(labels), len(allowed), classes),
            )
        order = torch.randperm(len(allowed), generator=seed.generator())
        return allowed[order[:count].to(allowed.device)].sort().values

    where: ClassVar[str] = "not of the target class"
    """Which images are eligible, as a clause for messages."""

    def eligible(self, labels: Tensor, classes: int) -> Tensor:
        """Returns which images may be poisoned, (N,) bool: those not of the wanted class."""
        return labels != goals(labels, self.target, classes)


@method
class DirtyLabel(Attack, ABC):
    """The attacker changes images and labels of the training data, and nothing else."""

    needs: ClassVar[tuple[str, ...]] = ("training images", "training labels")

    def train(self, setting: Setting) -> Trained:
        """Poisons a copy of the data and trains on it as the control is trained."""
        wanted = goals(setting.data.labels, self.target, setting.model.classes)
        data = poison(setting.data, setting.chosen, setting.trigger, wanted[setting.chosen])
        return train_on(setting, data)


@method
class CleanLabel(Attack, ABC):
    """The attacker changes images of the target class, and no label."""

    needs: ClassVar[tuple[str, ...]] = ("training images",)
    version: ClassVar[int | str] = 2
    where: ClassVar[str] = "of the target class"

    target: NonNegativeInt = 0
    """The class whose images are poisoned, and which triggered images are meant to get."""

    def craft(self, setting: Setting) -> Change:
        """Returns how an image is poisoned; by default it gets the trigger."""
        return setting.trigger

    def train(self, setting: Setting) -> Trained:
        """Poisons a copy of the data and trains on it; some of the poisoned images stay.

        A reactivation needs some of them later, and crafting them may have taken a model of the
        attacker's own; so the result holds a part of them, drawn at random.
        """
        chosen = setting.chosen
        data = poison(setting.data, chosen, self.craft(setting), None)
        order = torch.randperm(len(chosen), generator=setting.seed.child("crafted").generator())
        kept = data[chosen[order[:KEPT].to(chosen.device)]]
        trained = self.train_victim(setting, data)
        return TrainedOnCrafted(trained.losses, LabelledImages(as_bytes(kept.images), kept.labels))

    def train_victim(self, setting: Setting, data: LabelledImages) -> Trained:
        """Trains ``setting.model`` on poisoned data; by default as the control is trained."""
        return train_on(setting, data)

    @final
    def eligible(self, labels: Tensor, classes: int) -> Tensor:
        """Returns which images are of the target class, (N,) bool."""
        del classes
        return labels == self.target


@method
class TrainingAttack(Attack, ABC):
    """The attacker trains the victim, and so chooses the loss, the batches and the trigger."""

    needs: ClassVar[tuple[str, ...]] = ("training process",)


def train_on(setting: Setting, data: LabelledImages) -> Trained:
    """Trains the victim on ``data`` as the control is trained on the clean images."""
    seed = setting.seed.child("training")
    return fit(setting.model, data, setting.recipe, seed=seed, what="victim")
