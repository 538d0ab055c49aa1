"""
A purifier of your own
======================

One class with its formula and its parameters. ``remission run mine.toml --methods halving.py`` adds
``method = "halving"`` to what a table ``[[purifier]]`` of the spec may name.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from remission.method import field, method
from remission.models import Classifier
from remission.purifiers import CleanPurifier
from remission.seeding import Seed
from remission.types import LabelledImages


@method
class Halving(CleanPurifier):
    """Multiplies the last linear layer's weights."""

    name: ClassVar[str] = "halving"
    paper: ClassVar[str] = "Nobody, nowhere"

    factor: float = field(default=0.5, gt=0, le=1)
    """What the weights are multiplied by."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """W <- factor * W, W the last linear layer's weight."""
        with torch.no_grad():
            model.final_linear.weight.mul_(self.factor)
        return model
