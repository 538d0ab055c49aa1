"""What an inversion is, and what it returns."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, final

import torch
from torch import Tensor, nn

from remission.errors import MethodError
from remission.method import Method, method, returned
from remission.models import Classifier, Precision, evaluating, frozen
from remission.models.build import build_like
from remission.seeding import Seed
from remission.training import predict
from remission.types import LabelledImages


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
        margin_lead: how many times as far the maximum margin of ``target`` stands above that of
            references as that of the next class; None: the inversion compares no margins.
        vote: the sum of the logarithms of both leads, each in standard deviations on models that
            nobody attacked, see :mod:`remission.inversion.voted`; None: the inversion takes no
            vote.
        pair_vote: the lesser vote of the two candidates, each counted without the other; None: the
            inversion named a class, or takes no vote.
        candidates: the classes that an inversion suspects which abstained from naming one; empty
            otherwise. ``target`` is then None, ``target_share`` is the share of all images that
            are sent to one of the candidates that is not their own class, and leads and vote are
            those of the first candidate.
    """

    generator: nn.Module
    target: int | None
    target_share: float
    change: float
    lead: float | None = None
    margin_lead: float | None = None
    vote: float | None = None
    pair_vote: float | None = None
    candidates: tuple[int, ...] = ()

    @property
    def suspects(self) -> tuple[int, ...]:
        """The class, or the candidates; empty if the generator moves no image."""
        return self.candidates if self.target is None else (self.target,)


@dataclass(frozen=True)
class TargetClass:
    """The target class that an inversion names, or its candidates; see :class:`Inverted`."""

    target: int | None
    lead: float
    margin_lead: float | None = None
    vote: float | None = None
    pair_vote: float | None = None
    candidates: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Checks that there is either a class or several candidates."""
        if (self.target is None) != (len(self.candidates) > 1):
            raise ValueError("give a target, or at least two candidates without a target")

    @property
    def suspects(self) -> tuple[int, ...]:
        """The class, or the candidates."""
        return self.candidates if self.target is None else (self.target,)


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

        If the hook also has a keyword ``references`` with the default ``()``, it receives the
        reference models in the first round; in later rounds it receives none.

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
        references: Sequence[Classifier] = (),
    ) -> Inverted:
        """Inverts the trigger of ``model``, which is left as it was.

        Args:
            model: the suspect model.
            clean: clean images with labels, on the model's device.
            seed: the source of the generator and of its training.
            previous: the result of the round before; a copy of its generator is trained further.
            references: models that nobody attacked, as :meth:`train_reference` makes them, for an
                inversion that compares with some; it trains those that are missing.

        Raises:
            SpecError: the method cannot work with such images.
            DivergedError: a logit under the trigger is not finite, or the training of a reference
                diverged.
            MethodError: a hook returns something else than its base class asks for, or names a
                class that does not exist.
        """
        generator = (
            copy.deepcopy(previous.generator)
            if previous
            else self.build_generator(clean.shape, seed.child("generator"), model.precision)
        )
        returned(self, "build_generator", generator, nn.Module)
        generator.to(clean.labels.device)
        more: dict[str, Any] = {}
        if "references" in signature(self.invert).parameters and previous is None:
            more["references"] = [*references, *self._missing(len(references), model, clean, seed)]
        with evaluating(model), frozen(model):
            choice = self.invert(model, clean, generator, previous=previous, seed=seed, **more)
        generator.eval()
        suspects = returned(self, "invert", choice, TargetClass).suspects if choice else ()
        if wrong := [suspect for suspect in suspects if not 0 <= suspect < model.classes]:
            raise MethodError(
                f"{self.name}: 'invert' named class {wrong[0]} of {model.classes}",
                f"name a class from 0 to {model.classes - 1}, or return None",
            )
        return judge(model, clean, generator, choice)

    def _missing(
        self, given: int, model: Classifier, clean: LabelledImages, seed: Seed
    ) -> list[Classifier]:
        """Trains the references that a caller did not bring."""
        return [
            self.train_reference(
                build_like(model, seed=seed.child("reference", number)).to(clean.labels.device),
                clean,
                seed=seed.child("reference", number),
            )
            for number in range(given, self.reference_count())
        ]

    def reference_count(self) -> int:
        """Returns the number of references that the inversion compares a model with."""
        return 0

    def reference_settings(self) -> dict[str, Any]:
        """Returns those parameters, as JSON values, that the training of a reference depends on."""
        return {}

    def train_reference(
        self, model: Classifier, clean: LabelledImages, *, seed: Seed
    ) -> Classifier:
        """Trains a new model, in place, into one that nobody attacked; returns it in eval mode.

        Args:
            model: has random weights and the architecture of the suspect model.
            clean: the defender's images with true labels, on the model's device.
            seed: the source of the order of the images.

        Raises:
            NotImplementedError: the inversion has no references.
        """
        raise NotImplementedError


def judge(
    model: Classifier,
    clean: LabelledImages,
    generator: nn.Module,
    choice: TargetClass | None = None,
) -> Inverted:
    """Measures a trained generator: the class that it leads to, how often, and at what change.

    The target is ``choice``, the class that the inversion named; if it named none, the class to
    which the generator sends most images of *other* classes. With several candidates it is None.
    """
    predicted = predict(model, clean, trigger=generator)
    moved = predicted[predicted != clean.labels]
    suspects = choice.suspects if choice else ()
    if len(moved) and not suspects:
        suspects = (int(torch.bincount(moved, minlength=model.classes).argmax()),)
    sample = clean.floats(torch.arange(min(500, len(clean))))
    with torch.inference_mode():
        change = float((generator(sample) - sample).square().mean().sqrt())
    return Inverted(
        generator=generator,
        target=suspects[0] if len(suspects) == 1 else None,
        target_share=_arriving(predicted, clean.labels, suspects),
        change=change,
        lead=choice.lead if choice else None,
        margin_lead=choice.margin_lead if choice else None,
        vote=choice.vote if choice else None,
        pair_vote=choice.pair_vote if choice else None,
        candidates=suspects if len(suspects) > 1 else (),
    )


def _arriving(predicted: Tensor, labels: Tensor, suspects: tuple[int, ...]) -> float:
    """Returns the share of images that arrive at one of several classes, not counting their own.

    Of one class alone, its own images do not count.
    """
    if not suspects:
        return 0.0
    others = labels != suspects[0] if len(suspects) == 1 else torch.ones_like(labels).bool()
    arrives = torch.isin(predicted, predicted.new_tensor(suspects)) & (predicted != labels)
    return float(arrives[others].float().mean()) if bool(others.any()) else 0.0
