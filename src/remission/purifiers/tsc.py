"""TSC: two-stage symmetry connectivity (Peng et al., ICML 2025, arXiv 2506.07467).

A round starts at the weights theta. With x_l(theta) the activations that share an order of
channels,

    1. theta'  = theta, its channels in the order P_l that maximises sum |x_l(theta) - P_l x_l|^2;
       theta_1 = gamma_1(t) on a curve of low clean loss from theta to theta';
    2. theta'' = theta, its channels in the order that minimises sum |x_l(theta_1) - P_l x_l|^2;
       theta  <- gamma_2(t) on a curve from theta'' to theta_1.

The curves are quadratic Bezier curves with fixed ends, trained on the clean images. A network with
permuted channels computes the same, including its backdoor. Points of the curve between two of them
compute what the clean images teach, and need not have the backdoor. Between rounds theta is
fine-tuned, and batch-norm statistics are collected anew at each point.

The public code matches correlations, not distances, knows the layers of a few networks by name, and
lets the cosine schedule rise again after 100 of 200 epochs. Here the channels are found by the
graph, and the cosine ends with the curve. Its second penalty, on gamma(t), is replaced by weight
decay.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from remission.method import field, method
from remission.models import ChannelGroup, Classifier, channel_groups, permute
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import connect, fit, match, recalibrate
from remission.types import LabelledImages


@method
class TSC(FineTuning, CleanPurifier):
    """Moves the victim along curves to copies of it with permuted channels."""

    name: ClassVar[str] = "tsc"
    paper: ClassVar[str] = "Peng et al., ICML 2025, arXiv 2506.07467"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "convolutions")

    rounds: int = field(default=3, ge=1)
    """Number of rounds of two curves (3 in the public code)."""
    t: float = field(default=0.4, gt=0, lt=1)
    """Position on each curve, where 0 is its start and 1 its end (0.4 in the public code)."""
    epochs: int = field(default=200, ge=1)
    """Passes over the clean images for each curve (200 in the public README)."""
    lr: float = field(default=0.02, gt=0)
    """Highest learning rate of the curves (0.02 in the public README)."""
    weight_decay: float = field(default=5e-4, ge=0)
    """L2 penalty on the bend of a curve, and in the fine-tuning (5e-4 in the public code)."""
    batch_size: int = field(default=256, ge=2)
    """Images per batch (256 in the public README)."""
    tune_epochs: int = field(default=10, ge=0)
    """Passes over the clean images after each round but the last (10 in the public code)."""
    tune_lr: float = field(default=1e-4, gt=0)
    """Highest learning rate of the fine-tuning between rounds (1e-4 in the public code)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Runs the rounds above."""
        groups = channel_groups(model)
        for turn in range(self.rounds):
            seed_now = seed.child("round", turn)
            unlike = _reordered(model, model, groups, clean, alike=False)
            middle = copy.deepcopy(model)
            self._walk(middle, unlike, clean, seed_now.child("away"))
            start = _reordered(model, middle, groups, clean, alike=True)
            self._walk(start, middle, clean, seed_now.child("back"))
            model = start
            if turn < self.rounds - 1 and self.tune_epochs:
                self._tune(model, clean, seed_now.child("tuning"))
        return model

    def _walk(self, model: Classifier, end: Classifier, clean: LabelledImages, seed: Seed) -> None:
        """Moves ``model`` to position t of a curve from its weights to those of ``end``."""
        curve = connect(model, end, clean, self.recipe(), seed=seed, what=f"{self.name}, curve")
        curve.put(model, self.t)
        recalibrate(model, clean)

    def _tune(self, model: Classifier, clean: LabelledImages, seed: Seed) -> None:
        """Fine-tunes ``model`` between two rounds."""
        recipe = replace(self.recipe(), epochs=self.tune_epochs, lr=self.tune_lr)
        fit(model, clean, recipe, seed=seed, what=f"{self.name}, fine-tuning")


def _reordered(
    model: Classifier,
    other: Classifier,
    groups: Sequence[ChannelGroup],
    clean: LabelledImages,
    *,
    alike: bool,
) -> Classifier:
    """Returns a copy of ``model`` with the order of channels most like, or unlike, ``other``'s."""
    reordered = copy.deepcopy(model)
    permute(reordered, groups, match(other, model, groups, clean, alike=alike))
    return reordered
