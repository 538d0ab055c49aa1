"""What an attacker has beside the model that he attacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from remission.attacks.base import poison
from remission.errors import SpecError
from remission.metrics import counted, goals
from remission.models import Classifier
from remission.triggers import Trigger
from remission.types import LabelledImages, Target

Other = Literal["victim", "control"]


@dataclass(frozen=True, kw_only=True)
class Attacker:
    """What the attacker has beside the model under attack.

    Args:
        images: his clean images with labels, on the models' device.
        trigger: his.
        target: his.
        classes: K.
        victim: the backdoored model, frozen and in eval mode, for methods that ask for it.
        control: a model that was never backdoored, in the same way.
    """

    images: LabelledImages
    trigger: Trigger
    target: Target
    classes: int
    victim: Classifier | None = None
    control: Classifier | None = None

    def others(self) -> Tensor:
        """(n,) indices of his images outside the target class.

        Raises:
            SpecError: there are none.
        """
        found = counted(self.images.labels, self.target, self.classes).places
        if not len(found):
            raise SpecError(
                "all of the attacker's images are of the target class",
                "give the attacker more images in [split]",
            )
        return found

    def triggered(self) -> LabelledImages:
        """His images outside the target class with the trigger, and the classes he wants."""
        clean = self.images[self.others()]
        every = torch.arange(len(clean), device=clean.labels.device)
        return poison(clean, every, self.trigger, goals(clean.labels, self.target, self.classes))
