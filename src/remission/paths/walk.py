"""What is measured on the way from one model to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from remission.metrics import Rate, Rates
from remission.models import Classifier
from remission.progress import tracked
from remission.records.path import Quantity, barrier
from remission.training import Measured, measure, recalibrate
from remission.types import LabelledImages, Target


@dataclass(frozen=True)
class PathPoints:
    """What was measured along a walk; all lists have the same length.

    Args:
        t: positions, from 0 (start) to 1 (end).
        rates: clean accuracy, ASR, robust accuracy.
        clean_loss: cross entropy of clean images and their labels.
        backdoor_loss: cross entropy of triggered images and the classes that the attacker wants.
    """

    t: list[float]
    rates: list[Rates]
    clean_loss: list[float]
    backdoor_loss: list[float]

    def barriers(self) -> dict[Quantity, float]:
        """Barrier in each error and loss, see :func:`remission.records.path.barrier`."""
        values: dict[Quantity, list[float]] = {
            "backdoor_error": [1 - rates.asr.value for rates in self.rates],
            "clean_error": [1 - rates.clean_acc.value for rates in self.rates],
            "backdoor_loss": self.backdoor_loss,
            "clean_loss": self.clean_loss,
        }
        return {name: barrier(self.t, along) for name, along in values.items()}


def unmeasured(images: int) -> Measured:
    """What stands where nothing was measured, as in a rehearsal."""
    nothing = Rate(0, images)
    return Measured(Rates(nothing, nothing, nothing), 0.0, 0.0)


def walk(
    model: Classifier,
    put: Callable[[float], None],
    positions: Sequence[float],
    test: LabelledImages,
    trigger: Callable[[Tensor], Tensor],
    target: Target,
    *,
    clean: LabelledImages | None,
    what: str,
) -> PathPoints:
    """Measures ``model`` at every position.

    Args:
        model: moved by ``put``.
        put: sets the weights of ``model`` to those of a position.
        positions: from 0 to 1.
        test: on the model's device.
        trigger: image -> triggered image.
        target: the attacker's.
        clean: running statistics are collected anew on these images at every position; None: they
            are left as ``put`` sets them.
        what: said in progress.
    """
    found = [unmeasured(len(test))] * len(positions)
    for place, t in enumerate(tracked(positions, what, len(positions))):
        put(t)
        if clean is not None:
            recalibrate(model, clean)
        found[place] = measure(model, test, trigger, target)
    return PathPoints(
        t=list(positions),
        rates=[each.rates for each in found],
        clean_loss=[each.clean_loss for each in found],
        backdoor_loss=[each.backdoor_loss for each in found],
    )


def evenly(points: int) -> list[float]:
    """That many positions from 0 to 1, both included; at least 2."""
    assert points >= 2, "a walk has two ends"
    return [round(k / (points - 1), 10) for k in range(points)]
