"""What a reactivation is."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import final

from remission.method import Method, field, method
from remission.models import Classifier
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


@method
class Reactivation(Method, ABC):
    """Tries to bring a backdoor back; done once for every budget."""

    budgets: tuple[int, ...] = field(default=(5,), min_length=1, strict=False)
    """Numbers of poisoned images the attacker may use, each a try of its own."""

    @abstractmethod
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
        """Changes ``model``, a copy, in place and returns it."""

    @final
    def __call__(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
    ) -> Classifier:
        """The reactivated copy of ``model``, in eval mode; ``model`` stays as it is.

        Args:
            model: a purified model, or the control.
            images: the attacker's clean images with labels, on the model's device.
            trigger: the attacker's.
            target: the attacker's.
            budget: number of poisoned images.
            seed: of the choice of images and of the training; the same for every model compared.

        Raises:
            SpecError: the attacker has fewer images outside the target class than the budget.
        """
        mine = copy.deepcopy(model).requires_grad_(True)
        done = self.reactivate(mine, images, trigger, target, budget=budget, seed=seed)
        return done.eval()
