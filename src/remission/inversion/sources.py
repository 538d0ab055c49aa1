"""The sources of a purifier's triggered images: the attacker's trigger, or an inverted one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from remission.inversion.base import Inversion, Inverted
from remission.models import Classifier
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.triggers.warp_and_add import strengthened
from remission.types import LabelledImages


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
