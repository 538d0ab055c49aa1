"""Measurements along a path from one model to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from remission.intervals import Rate
from remission.metrics import Rates
from remission.models import Classifier
from remission.progress import tracked
from remission.records.path import Quantity, barrier
from remission.training import Measured, measure, recalibrate
from remission.types import LabelledImages, Target


@dataclass(frozen=True)
class PathPoints:
    """Measurements along a path; all lists have the same length.

    Args:
        t: positions, from 0 (start) to 1 (end).
        rates: clean accuracy, ASR and robust accuracy at each position.
        clean_loss: mean cross entropy of clean images and their labels.
        backdoor_loss: mean cross entropy of triggered images and the classes that the attacker
            wants for them.
    """

    t: list[float]
    rates: list[Rates]
    clean_loss: list[float]
    backdoor_loss: list[float]

    def barriers(self) -> dict[Quantity, float]:
        """Returns the barriers in errors and losses, see :func:`remission.records.path.barrier`."""
        values: dict[Quantity, list[float]] = {
            "backdoor_error": [1 - rates.asr.value for rates in self.rates],
            "clean_error": [1 - rates.clean_acc.value for rates in self.rates],
            "backdoor_loss": self.backdoor_loss,
            "clean_loss": self.clean_loss,
        }
        return {name: barrier(self.t, along) for name, along in values.items()}


def unmeasured(images: int) -> Measured:
    """Returns a placeholder for what is not measured, as in a rehearsal."""
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
        model: the model that ``put`` moves.
        put: sets the weights of ``model`` to those of a position.
        positions: numbers from 0 to 1.
        test: the images on which rates and losses are measured, on the model's device.
        trigger: image -> triggered image.
        target: the target of the attack.
        clean: the images on which running statistics are collected anew at every position; None:
            they stay as ``put`` sets them.
        what: the name of this work, shown as progress.
    """
    measurements = [unmeasured(len(test))] * len(positions)
    for index, t in enumerate(tracked(positions, what, len(positions))):
        put(t)
        if clean is not None:
            recalibrate(model, clean)
        measurements[index] = measure(model, test, trigger, target)
    return PathPoints(
        t=list(positions),
        rates=[measured.rates for measured in measurements],
        clean_loss=[measured.clean_loss for measured in measurements],
        backdoor_loss=[measured.backdoor_loss for measured in measurements],
    )


def evenly(points: int) -> list[float]:
    """Returns ``points`` positions from 0 to 1, both included; at least 2."""
    assert points >= 2, "a path has two ends"
    return [round(k / (points - 1), 10) for k in range(points)]
