"""The rates of a model on the test images, and on those of the validation where there are some."""

from __future__ import annotations

from typing import TypedDict

from remission.grid.stages.inputs import StageInputs
from remission.metrics import Rate, Rates, accuracy
from remission.models import Classifier
from remission.training import evaluate, predict
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


class MeasuredRates(TypedDict):
    """The two arguments of :class:`StageResult` that hold rates."""

    rates: Rates | Rate
    validation: Rates | Rate | None


def backdoor_rates(
    inputs: StageInputs, model: Classifier, trigger: Trigger, target: Target
) -> MeasuredRates:
    """Measures clean accuracy, ASR and robust accuracy of ``model`` on both sets of images."""
    validation = inputs.split.validation
    return {
        "rates": evaluate(model, inputs.split.test, trigger, target),
        "validation": evaluate(model, validation, trigger, target) if validation else None,
    }


def clean_rates(inputs: StageInputs, model: Classifier) -> MeasuredRates:
    """Measures clean accuracy of ``model`` on both sets of images."""

    def rate(images: LabelledImages) -> Rate:
        return accuracy(predict(model, images), images.labels)

    validation = inputs.split.validation
    return {
        "rates": rate(inputs.split.test),
        "validation": rate(validation) if validation else None,
    }
