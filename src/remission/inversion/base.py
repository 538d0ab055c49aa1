"""What an inversion is, what it returns, and the two sources of triggered images."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn

from remission.errors import MethodError
from remission.method import Method, method, returned
from remission.models import Classifier, Precision, evaluating, frozen
from remission.seeding import Seed
from remission.training import predict
from remission.triggers import Trigger
from remission.triggers.warp_and_add import strengthened
from remission.types import LabelledImages, as_float


@dataclass(frozen=True, kw_only=True, eq=False)
class Inverted:
    """A trigger recovered from a model.

    Args:
        generator: images (N, C, H, W) in [0, 1] -> triggered images.
        target: the class that the inversion takes for the target of the attack; None if the
            generator moves no image to another class.
        target_share: share of the clean images of other classes that the generator sends to
            ``target``, in [0, 1]: how well the trigger works on the model that was inverted.
        change: root mean square difference of image and triggered image, in [0, 1].
        lead: how many times as large a change the next class needs, for each image that arrives
            there; 1 where two classes need the same. None: the inversion does not compare classes.
    """

    generator: nn.Module
    target: int | None
    target_share: float
    change: float
    lead: float | None = None


@dataclass(frozen=True)
class TargetClass:
    """The target class that an inversion names, and its lead, see :class:`Inverted`."""

    target: int
    lead: float


@method
class Inversion(Method, ABC):
    """Recovers a trigger from a model and clean images, without knowing the attack."""

    @abstractmethod
    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> nn.Module:
        """Makes an untrained generator for images of ``shape``; stored weights are loaded into it.

        Args:
            shape: (C, H, W) of the images.
            seed: the source of its first weights.
            precision: the precision of its forward pass.

        Raises:
            SpecError: the method cannot work with such images.
        """

    @abstractmethod
    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> TargetClass | None:
        """Trains ``generator`` in place, and returns the target class if the method names one.

        Args:
            model: the suspect model in eval mode; its weights do not require gradients.
            clean: the defender's images with true labels.
            generator: a new generator in the first round, later that of the round before.
            previous: the result of the round before; None in the first round.
            seed: the source of order and first values.
        """

    @final
    def __call__(
        self,
        model: Classifier,
        clean: LabelledImages,
        *,
        seed: Seed,
        previous: Inverted | None = None,
    ) -> Inverted:
        """Inverts the trigger of ``model``, which is left as it was.

        Args:
            model: the suspect model.
            clean: clean images with labels, on the model's device.
            seed: the source of the generator and of its training.
            previous: the result of the round before; a copy of its generator is trained further.

        Raises:
            SpecError: the method cannot work with such images.
            DivergedError: a weight of the generator is not finite.
        """
        generator = (
            copy.deepcopy(previous.generator)
            if previous
            else self.build_generator(clean.shape, seed.child("generator"), model.precision)
        )
        returned(self, "build_generator", generator, nn.Module)
        generator.to(clean.labels.device)
        with evaluating(model), frozen(model):
            choice = self.invert(model, clean, generator, previous=previous, seed=seed)
        generator.eval()
        if choice is not None and not 0 <= returned(self, "invert", choice, TargetClass).target < (
            model.classes
        ):
            raise MethodError(
                f"{self.name}: 'invert' named class {choice.target} of {model.classes}",
                f"name a class from 0 to {model.classes - 1}, or return None",
            )
        return judge(model, clean, generator, choice)


def judge(
    model: Classifier,
    clean: LabelledImages,
    generator: nn.Module,
    choice: TargetClass | None = None,
) -> Inverted:
    """Measures a trained generator: the class that it leads to, how often, and at what change.

    The target is ``choice``, the class that the inversion named; if it named none, the class to
    which the generator sends most images of *other* classes.
    """
    predicted = predict(model, clean, trigger=generator)
    new_classes = predicted[predicted != clean.labels]
    target, share = choice.target if choice else None, 0.0
    if len(new_classes) and target is None:
        target = int(torch.bincount(new_classes, minlength=model.classes).argmax())
    if target is not None:
        others = clean.labels != target
        share = float((predicted[others] == target).float().mean()) if bool(others.any()) else 0.0
    sample = as_float(clean.images[:500])
    with torch.inference_mode():
        change = float((generator(sample) - sample).square().mean().sqrt())
    return Inverted(
        generator=generator,
        target=target,
        target_share=share,
        change=change,
        lead=choice.lead if choice else None,
    )


class TriggerSource(Protocol):
    """A source of triggered images for a purifier: the true trigger, or an inverted one."""

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """(N, C, H, W) images in [0, 1] -> triggered images, without gradients.

        ``times`` multiplies the change that the trigger makes, see
        :func:`remission.triggers.warp_and_add.strengthened`.
        """

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> TriggerSource:
        """Returns the source for the next round, where ``model`` is what is purified so far."""


@dataclass(frozen=True)
class KnownSource:
    """The attacker's own trigger, which only exact purification (EP) and the attacker have."""

    trigger: Trigger

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """Applies the trigger."""
        with torch.no_grad():
            return strengthened(self.trigger, images, times)

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> KnownSource:
        """Returns itself: a trigger that is known need not be inverted again."""
        del model, clean, seed
        return self


@dataclass(frozen=True)
class InvertedSource:
    """An inverted trigger, which is inverted again from the purified model in each round.

    Args:
        inversion: the method.
        inverted: its latest result.
        heard: called with the result of each further round.
    """

    inversion: Inversion
    inverted: Inverted
    heard: Callable[[Inverted], None] | None = None

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """Applies the generator."""
        with torch.no_grad():
            return strengthened(self.inverted.generator, images, times)

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> InvertedSource:
        """Trains the generator further against ``model``, which is purified so far."""
        inverted = self.inversion(model, clean, seed=seed, previous=self.inverted)
        if self.heard:
            self.heard(inverted)
        return InvertedSource(self.inversion, inverted, self.heard)
