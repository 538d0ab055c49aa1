"""Methods that change nothing and report the arguments that a grid gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from remission import registry
from remission.grid.plan.stage import Stage
from remission.grid.stages import paths as walks
from remission.inversion import Inversion, Inverted, TriggerSource
from remission.inversion.base import TargetClass
from remission.method import Method, method
from remission.models import Classifier, Precision
from remission.paths import PathPoints
from remission.paths.walk import unmeasured
from remission.purifiers import CleanPurifier, TriggerPurifier
from remission.reactivations import Alternative, Perturbation, Retuning
from remission.reactivations.access import Oracle
from remission.reactivations.attacker import Attacker
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


@dataclass(frozen=True, kw_only=True)
class Handed:
    """The arguments of one method in one stage.

    Args:
        who: ``"purifier"``, ``"inversion"``, ``"reactivation"`` or ``"path"``.
        images: the images and labels.
        weights: the weights of the model.
        target: the class that an inversion was given.
        stamped: the images with the trigger, in the first round and in the second.
    """

    who: str
    images: LabelledImages
    weights: Tensor | None = None
    target: int | None = None
    stamped: tuple[Tensor, ...] = ()


Heard = list[tuple[Stage, Handed]]


class Ear:
    """Records the reports of spies, with the stage in which they were called."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.heard: Heard = []

    def hear(self, handed: Handed) -> None:
        """Records a report; spies call it."""
        assert self.stage is not None
        self.heard.append((self.stage, handed))


EAR = Ear()


def flat(state: Mapping[str, Tensor]) -> Tensor:
    """Returns all values of a model as one vector."""
    return torch.cat([state[key].flatten().double() for key in sorted(state)])


def floats(data: LabelledImages) -> Tensor:
    """Returns all images, float in [0, 1]."""
    return data.floats(torch.arange(len(data)))


@method
class CleanSpy(CleanPurifier):
    """A purifier that is given no trigger."""

    name: ClassVar[str] = "clean_spy"

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Reports its arguments."""
        EAR.hear(Handed(who="purifier", images=clean, weights=flat(model.state_dict())))
        return model


@method
class TriggerSpy(TriggerPurifier):
    """A purifier that asks for triggered images, and for more after a further round."""

    name: ClassVar[str] = "trigger_spy"

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Reports its arguments."""
        later = trigger.renewed(model, clean, seed=seed)
        stamped = (trigger(floats(clean)), later(floats(clean)))
        told = Handed(
            who="purifier", images=clean, weights=flat(model.state_dict()), stamped=stamped
        )
        EAR.hear(told)
        return model


class Even(nn.Module):
    """Turns every image into one even grey."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """Returns images of the same shape."""
        return torch.zeros_like(images) + self.value


@method
class InversionSpy(Inversion):
    """An inversion that adds ``step`` to the grey of its generator per round, and names class 3."""

    name: ClassVar[str] = "inversion_spy"
    step: ClassVar[float] = 0.125

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> nn.Module:
        """Returns a generator of black images."""
        del shape, seed, precision
        return Even()

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> TargetClass:
        """Reports its arguments."""
        del seed
        assert isinstance(generator, Even)
        generator.value += self.step
        told = Handed(
            who="inversion",
            images=clean,
            weights=flat(model.state_dict()),
            target=previous.target if previous else None,
        )
        EAR.hear(told)
        return TargetClass(3, 0.0)


@method
class OtherInversionSpy(InversionSpy):
    """Another such inversion, with another step."""

    name: ClassVar[str] = "other_inversion_spy"
    step: ClassVar[float] = 0.5


@method
class RetuningSpy(Retuning):
    """A retuning, since a path continues only to retunings."""

    def reactivate(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
        crafted: LabelledImages | None = None,
    ) -> Classifier:
        """Reports its arguments."""
        del target, budget, seed, crafted
        told = (trigger(floats(images)),)
        EAR.hear(Handed(who="reactivation", images=images, stamped=told))
        return model


@method
class PerturbingSpy(Alternative):
    """A reactivation that changes images."""

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Reports its arguments."""
        del perturbation, model, budget, seed
        told = (attacker.trigger(floats(attacker.images)),)
        EAR.hear(Handed(who="reactivation", images=attacker.images, stamped=told))


TABLES: dict[str, dict[str, type[Method]]] = {
    "purifier": {each.name: each for each in (CleanSpy, TriggerSpy)},
    "inversion": {each.name: each for each in (InversionSpy, OtherInversionSpy)},
    "reactivation": {each.name: each for each in (RetuningSpy, PerturbingSpy)},
}


@contextmanager
def spies() -> Iterator[Ear]:
    """Within this context specs know no method but these, and paths are not measured."""
    ear = EAR
    ear.heard.clear()

    def path(*_: object, clean: LabelledImages, **__: object) -> PathPoints:
        ear.hear(Handed(who="path", images=clean))
        nothing = unmeasured(1).rates
        return PathPoints([0.0, 1.0], [nothing] * 2, [0.0] * 2, [0.0] * 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_TABLES", {**registry._TABLES, **TABLES})
        patch.setattr(walks, "linear_path", path)
        patch.setattr(walks, "bezier_path", path)
        yield ear
