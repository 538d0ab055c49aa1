"""What the attacker has beside the model under attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from remission.attacks.poisoning import poison
from remission.errors import SpecError
from remission.metrics import counted, goals
from remission.models import Classifier
from remission.triggers import Trigger
from remission.types import LabelledImages, Target

Other = Literal["victim", "control"]
"""A model that the attacker may have beside the model under attack."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Attacker:
    """What the attacker has beside the model under attack.

    Args:
        images: the attacker's clean images with labels, on the models' device.
        trigger: the trigger of the attack.
        target: the target of the attack.
        classes: K, the number of classes.
        crafted: images that the attacker crafted for a clean-label attack, with their labels, on
            the models' device; None after other attacks.
        victim: the backdoored model, frozen and in eval mode, for methods that need it.
        control: a model without backdoor, frozen and in eval mode, for methods that need it.
    """

    images: LabelledImages
    trigger: Trigger
    target: Target
    classes: int
    crafted: LabelledImages | None = None
    victim: Classifier | None = None
    control: Classifier | None = None

    def others(self) -> Tensor:
        """Returns the indices of the attacker's images outside the target class, (n,).

        Raises:
            SpecError: there are none.
        """
        indices = counted(self.images.labels, self.target, self.classes).indices
        if not len(indices):
            raise SpecError(
                "all of the attacker's images are of the target class",
                "give the attacker more images in [split]",
            )
        return indices

    def triggered(self) -> LabelledImages:
        """Returns the images outside the target class with the trigger and the wanted classes."""
        clean = self.images[self.others()]
        every = torch.arange(len(clean), device=clean.labels.device)
        return poison(clean, every, self.trigger, goals(clean.labels, self.target, self.classes))
