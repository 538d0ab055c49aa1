"""What an inversion is, what it finds, and the two places where triggered images come from."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn

from remission.method import Method, method
from remission.models import Classifier, Precision
from remission.seeding import Seed
from remission.training import predict
from remission.triggers import Trigger
from remission.triggers.warp_and_add import strengthened
from remission.types import LabelledImages, as_float


@dataclass(frozen=True, kw_only=True)
class Inverted:
    """A trigger recovered from a model.

    Args:
        generator: image -> triggered image, (N, C, H, W) in [0, 1] to the same.
        target: the class that the inversion takes for the attacker's; None if it moves no image.
        target_share: share of clean images of other classes that the generator sends there,
            in [0, 1]: how well the inverted trigger works on the model it was found in.
        change: root mean square difference of image and triggered image, in [0, 1].
    """

    generator: nn.Module
    target: int | None
    target_share: float
    change: float
    lead: float | None = None
    """How many times as large a change the next class needs for each image that arrives, 1 where
    two need the same; None where the inversion does not compare classes."""


@dataclass(frozen=True)
class Named:
    """A target class and by how much it stands out, see :class:`Inverted`."""

    target: int
    lead: float


@method
class Inversion(Method, ABC):
    """Recovers a trigger from a model and clean images, without knowing the attack."""

    @abstractmethod
    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> nn.Module:
        """An untrained generator for images of ``shape``; stored weights are loaded into it."""

    @abstractmethod
    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> Named | None:
        """Trains ``generator`` in place; may name the target class.

        Args:
            model: in eval mode; its weights do not require gradients.
            clean: the defender's images.
            generator: new in the first round, the last round's in later ones.
            previous: what the last round found, its class above all; None in the first.
            seed: of order and first values.
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
            model: the suspect.
            clean: clean images with labels, on the model's device.
            seed: of the generator and its training.
            previous: what the last round found; a copy of its generator is trained further.
        """
        generator = (
            copy.deepcopy(previous.generator)
            if previous
            else self.build_generator(clean.shape, seed.child("generator"), model.precision)
        )
        generator.to(clean.labels.device)
        required = [p.requires_grad for p in model.parameters()]
        was_training = model.training
        model.eval().requires_grad_(False)
        try:
            named = self.invert(model, clean, generator, previous=previous, seed=seed)
        finally:
            for parameter, require in zip(model.parameters(), required, strict=True):
                parameter.requires_grad_(require)
            model.train(was_training)
        generator.eval()
        return judge(model, clean, generator, named)


def judge(
    model: Classifier, clean: LabelledImages, generator: nn.Module, named: Named | None = None
) -> Inverted:
    """What a trained generator amounts to: the class it leads to, how often, at what change.

    The target is the class that was named, else the one that most images of *other* classes are
    sent to.
    """
    found = predict(model, clean, trigger=generator)
    moved = found[found != clean.labels]
    target, share = named.target if named else None, 0.0
    if len(moved) and target is None:
        target = int(torch.bincount(moved, minlength=model.classes).argmax())
    if target is not None:
        others = clean.labels != target
        share = float((found[others] == target).float().mean()) if bool(others.any()) else 0.0
    sample = as_float(clean.images[:500])
    with torch.inference_mode():
        change = float((generator(sample) - sample).square().mean().sqrt())
    return Inverted(
        generator=generator,
        target=target,
        target_share=share,
        change=change,
        lead=named.lead if named else None,
    )


class TriggerSource(Protocol):
    """Where a purifier gets triggered images from: the true trigger, or an inverted one."""

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """(N, C, H, W) images in [0, 1] -> triggered ones; no gradient flows through.

        ``times`` is how many times the trigger's change is made, see
        :func:`remission.triggers.warp_and_add.strengthened`.
        """

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> TriggerSource:
        """The source for the next round, given the model as purified so far."""


@dataclass(frozen=True)
class KnownSource:
    """The attacker's own trigger: exact purification's privilege."""

    trigger: Trigger

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """Stamps the trigger."""
        with torch.no_grad():
            return strengthened(self.trigger, images, times)

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> KnownSource:
        """The same: what is known need not be found again."""
        del model, clean, seed
        return self


@dataclass(frozen=True)
class InvertedSource:
    """A trigger recovered from the model, recovered again from the purified model each round."""

    inversion: Inversion
    inverted: Inverted
    heard: Callable[[Inverted], None] | None = None
    """Told of what each further round finds."""

    def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
        """Runs the generator."""
        with torch.no_grad():
            return strengthened(self.inverted.generator, images, times)

    def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> InvertedSource:
        """Trains the generator further against the model as purified so far."""
        inverted = self.inversion(model, clean, seed=seed, previous=self.inverted)
        if self.heard:
            self.heard(inverted)
        return InvertedSource(self.inversion, inverted, self.heard)
