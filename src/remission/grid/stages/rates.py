"""The rates of a model on the test images, and on the validation images where there are some."""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar

from remission.grid.stages.inputs import StageInputs
from remission.intervals import Rate
from remission.metrics import Rates
from remission.models import Classifier
from remission.training import clean_accuracy, evaluate
from remission.triggers import Trigger
from remission.types import Target

R = TypeVar("R", Rates, Rate)


class MeasuredRates(TypedDict, Generic[R]):
    """The two arguments of :class:`StageResult` that hold rates."""

    rates: R
    validation: R | None


def backdoor_rates(
    inputs: StageInputs, model: Classifier, trigger: Trigger, target: Target
) -> MeasuredRates[Rates]:
    """Measures clean accuracy, ASR and robust accuracy of ``model`` on both sets of images."""
    validation = inputs.split.validation
    return {
        "rates": evaluate(model, inputs.split.test, trigger, target),
        "validation": evaluate(model, validation, trigger, target) if validation else None,
    }


def clean_rates(inputs: StageInputs, model: Classifier) -> MeasuredRates[Rate]:
    """Measures clean accuracy of ``model`` on both sets of images."""
    validation = inputs.split.validation
    return {
        "rates": clean_accuracy(model, inputs.split.test),
        "validation": clean_accuracy(model, validation) if validation else None,
    }
