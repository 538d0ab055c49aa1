"""The base classes of purifiers. A method has one hook, ``purify``; the wrapper does the rest."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, final

import torch
from pydantic import ValidationError
from torch import Tensor

from remission.errors import MethodError, SpecError
from remission.inversion import TriggerSource
from remission.method import Method, explain, field, method, returned
from remission.models import Classifier, check_needs
from remission.seeding import Seed
from remission.training import Recipe
from remission.training.batches import Augment, share_of
from remission.training.loop import Schedule, check_finite
from remission.types import LabelledImages

PurifierAugment = Literal[Augment, "victim"]
"""The augmentation of a purifier's clean images; ``"victim"``: that of the victim's training."""


def augmentation(augment: PurifierAugment, victim: Augment = "none") -> Augment:
    """Returns the augmentation that a purifier's ``augment`` stands for.

    Args:
        augment: the parameter.
        victim: the augmentation that the victim was trained with. Outside of a spec nobody knows
            it; then it is ``"none"``, as :class:`remission.training.Recipe` has it by default.
    """
    return victim if augment == "victim" else augment


@dataclass(frozen=True, eq=False)
class Purified:
    """The result of a purifier: a model with the victim's keys and shapes and finite values."""

    model: Classifier


@method
class Purifier(Method, ABC):
    """Turns a suspect model and clean images into a purified model."""

    @final
    def __call__(
        self,
        victim: Classifier,
        clean: LabelledImages,
        *,
        seed: Seed,
        trigger: TriggerSource | None = None,
    ) -> Purified:
        """Purifies a copy of ``victim``, which stays as it is.

        Args:
            victim: the suspect model.
            clean: the defender's clean images with labels, on the model's device.
            seed: the source of everything random in the method.
            trigger: the source of triggered images, for the methods that need one.

        Raises:
            ValueError: the method needs a trigger, and there is none.
            SpecError: the model lacks what the method needs, for example batch norm.
            MethodError: the method returns no classifier, or one of other keys or shapes.
            DivergedError: a weight of the result is not finite.

        An ``augment`` of ``"victim"`` is ``"none"`` here, since a model does not say how it was
        trained; :meth:`resolved` takes what the caller knows.
        """
        check_needs(self, victim)
        model = copy.deepcopy(victim).requires_grad_(True)
        result = self.resolved()._supply(model, clean, trigger, seed)
        purified = returned(self, "purify", result, Classifier)
        shapes = {key: value.shape for key, value in victim.state_dict().items()}
        purified_shapes = {key: value.shape for key, value in purified.state_dict().items()}
        if shapes != purified_shapes:
            raise MethodError(
                f"{self.name}: 'purify' returned a model with other keys or shapes than the victim",
                "change the values of weights and buffers, and leave the layers as they are",
            )
        check_finite(purified, self.name)
        for module in purified.modules():
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
            module._backward_hooks.clear()
            module._backward_pre_hooks.clear()
        return Purified(purified.requires_grad_(True).eval())

    @final
    def resolved(self, victim: Augment = "none") -> Self:
        """Returns the purifier with an ``augment`` of ``"victim"`` replaced by ``victim``.

        Every purifier with a parameter of that name follows it, a user's own as well, and so does a
        purifier that is another's parameter ``base``.

        Args:
            victim: see :func:`augmentation`.

        Raises:
            SpecError: the parameter allows ``"victim"`` and not what it stands for.
        """
        settled: dict[str, object] = {}
        if getattr(self, "augment", None) == "victim":
            settled["augment"] = augmentation("victim", victim)
        base = getattr(self, "base", None)
        if isinstance(base, Purifier) and (inner := base.resolved(victim)) is not base:
            settled["base"] = inner
        if not settled:
            return self
        try:
            return replace(self, **settled)
        except ValidationError as error:
            raise SpecError(*explain(error, f"[purifier] {self.name}", type(self))) from error

    def needed_trigger(self) -> Literal["inverted", "true"] | None:
        """Returns which trigger the purifier must be given; None if it needs none."""
        return None

    @abstractmethod
    def _supply(
        self, model: Classifier, clean: LabelledImages, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        """Calls the hook with the arguments of its kind of purifier."""


@method
class CleanPurifier(Purifier, ABC):
    """A purifier that gets clean images and nothing else."""

    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    @abstractmethod
    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Purifies ``model``, a copy that may be changed in place, and returns the result."""

    @final
    def _supply(
        self, model: Classifier, clean: LabelledImages, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        del trigger
        return self.purify(model, clean, seed=seed)


@method
class TriggerPurifier(Purifier, ABC):
    """A purifier that gets a source of triggered images: the true trigger, or an inverted one.

    A share of every batch carries the trigger, with true labels.
    """

    trigger: Literal["inverted", "true"] = "inverted"
    """Which trigger is used: the one that the spec's inversion recovers, or the attacker's own."""
    share: float = field(default=0.2, gt=0, le=1)
    """Share of each batch that carries the trigger."""

    @abstractmethod
    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Purifies ``model``, a copy that may be changed in place, and returns the result."""

    @final
    def _supply(
        self, model: Classifier, clean: LabelledImages, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        if trigger is None:
            raise ValueError(f"{self.name} needs a trigger: pass trigger=")
        return self.purify(model, clean, trigger=trigger, seed=seed)

    def needed_trigger(self) -> Literal["inverted", "true"] | None:
        """Returns ``trigger``."""
        return self.trigger

    def stamp_share(self, trigger: TriggerSource, images: Tensor, times: float = 1.0) -> Tensor:
        """Triggers the first ``share`` of a shuffled batch (B, C, H, W), at least one image.

        ``times`` multiplies the change that the trigger makes.
        """
        count = share_of(len(images), self.share)
        return torch.cat([trigger(images[:count], times).to(images.dtype), images[count:]])


def inverts(purifier: Purifier) -> bool:
    """Says whether a purifier needs an inverted trigger."""
    return purifier.needed_trigger() == "inverted"


@method
class Augmenting:
    """The parameter that every purifier has that trains on the clean images."""

    augment: PurifierAugment = "victim"
    """Augmentation of the clean images; victim: that of the victim's training, which a spec states
    in [victim] (from Python: none)."""


@method
class FineTuning(Augmenting):
    """The parameters that all purifiers by fine-tuning have, with this package's defaults."""

    epochs: int = field(default=10, ge=1)
    """Passes over the clean images."""
    lr: float = field(default=0.01, gt=0)
    """Highest learning rate."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = field(default=0.0, ge=0)
    """L2 penalty on all parameters."""
    schedule: Schedule = "cosine"
    """Schedule of the learning rate, which changes after every batch."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    def recipe(self) -> Recipe:
        """Returns these parameters as a recipe of SGD."""
        return Recipe(
            epochs=self.epochs,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )


@method
class Relearning(Augmenting):
    """The parameters of both methods of Siddiqui et al. (arXiv 2505.22310), by Adam."""

    epochs: int = field(default=100, ge=1)
    """Passes over the clean images (100 in the public code)."""
    lr: float = field(default=4e-4, gt=0)
    """Learning rate of Adam."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch (128 in the public code)."""

    def recipe(self) -> Recipe:
        """Returns these parameters as a recipe of Adam."""
        return Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer="adam",
            batch_size=self.batch_size,
            augment=augmentation(self.augment),
        )
