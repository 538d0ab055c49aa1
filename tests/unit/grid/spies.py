"""Methods that change nothing and tell what a grid handed to them."""

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
    """What one method was handed in one stage.

    Args:
        who: ``"purifier"``, ``"inversion"``, ``"reactivation"`` or ``"path"``.
        images: the images and labels.
        weights: of the model.
        target: the class that an inversion was told.
        stamped: what the trigger makes of the images, in the first round and in the second.
    """

    who: str
    images: LabelledImages
    weights: Tensor | None = None
    target: int | None = None
    stamped: tuple[Tensor, ...] = ()


Heard = list[tuple[Stage, Handed]]


class Ear:
    """Keeps what spies tell, with the stage in which they were called."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.heard: Heard = []

    def hear(self, handed: Handed) -> None:
        """Called by a spy."""
        assert self.stage is not None
        self.heard.append((self.stage, handed))


EAR = Ear()


def flat(state: Mapping[str, Tensor]) -> Tensor:
    """All values of a model as one vector."""
    return torch.cat([state[key].flatten().double() for key in sorted(state)])


def floats(data: LabelledImages) -> Tensor:
    """All images, float in [0, 1]."""
    return data.floats(torch.arange(len(data)))


@method
class CleanSpy(CleanPurifier):
    """Is given no trigger."""

    name: ClassVar[str] = "clean_spy"

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Tells."""
        EAR.hear(Handed(who="purifier", images=clean, weights=flat(model.state_dict())))
        return model


@method
class TriggerSpy(TriggerPurifier):
    """Asks for triggered images, and for them again after a further round."""

    name: ClassVar[str] = "trigger_spy"

    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource, seed: Seed
    ) -> Classifier:
        """Tells."""
        later = trigger.renewed(model, clean, seed=seed)
        stamped = (trigger(floats(clean)), later(floats(clean)))
        told = Handed(
            who="purifier", images=clean, weights=flat(model.state_dict()), stamped=stamped
        )
        EAR.hear(told)
        return model


class Even(nn.Module):
    """Every image becomes one even grey."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """The same shape."""
        return torch.zeros_like(images) + self.value


@method
class InversionSpy(Inversion):
    """Each round adds ``step`` to the grey of its generator, and names class 3."""

    name: ClassVar[str] = "inversion_spy"
    step: ClassVar[float] = 0.125

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> nn.Module:
        """Black."""
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
        """Tells."""
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
    """Another one, with another step."""

    name: ClassVar[str] = "other_inversion_spy"
    step: ClassVar[float] = 0.5


@method
class RetuningSpy(Retuning):
    """A retuning, since a path goes on only to one."""

    def reactivate(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
    ) -> Classifier:
        """Tells."""
        del target, budget, seed
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
        """Tells."""
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
    """Within this context no method but these is known to specs, and paths are not walked."""
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
