"""Stages that train victim and control, and the baseline, which measures the control."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from remission import previews
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.rates import backdoor_rates
from remission.grid.stages.result import Cost, StageResult
from remission.models.checkpoint import pack, pack_tensors
from remission.records.details import ControlDetails, StealthDetails, VictimDetails
from remission.records.kinds import BASELINE, CONTROL, VICTIM
from remission.stealth import Stealth, measure_stealth
from remission.training import fit
from remission.triggers import Trigger
from remission.types import Target

_COMPARED = 500
"""The most test images behind the stealth of a trigger."""
_COMPARED_PIXELS = 2_000_000
"""The most pixels behind it, so that large images are fewer: 40 of 224x224 pixels."""


def victim(inputs: StageInputs) -> StageResult:
    """Runs the attack and measures the victim."""
    split = inputs.split
    attacked = inputs.attack(
        inputs.new_model(), split.victim, inputs.recipe, seed=inputs.attack_seed
    )
    attacked.model.eval()
    files = {
        "weights.safetensors": pack(attacked.model),
        "trigger.safetensors": pack(attacked.trigger),
        **inputs.previews("triggered", attacked.trigger, attacked.target),
    }
    if (crafted := attacked.crafted) is not None:
        tensors = {"images": crafted.images, "labels": crafted.labels}
        files["crafted.safetensors"] = pack_tensors(tensors)
    measured = backdoor_rates(inputs, attacked.model, attacked.trigger, attacked.target)
    return StageResult(
        **measured,
        files=files,
        details=VictimDetails(
            classes=list(inputs.dataset.classes),
            poisoned=len(attacked.poisoned),
            losses=attacked.trained.losses,
            stealth=StealthDetails(**asdict(_stealth(inputs, attacked.trigger, attacked.target))),
            preview_count=min(previews.COUNT, measured["rates"].asr.total),
            split={
                name: len(images)
                for name in ("victim", "defender", "attacker", "validation", "test")
                if (images := getattr(split, name))
            },
            test_classes=_test_classes(split.test.labels, inputs.classes),
        ),
    )


def _stealth(inputs: StageInputs, trigger: Trigger, target: Target) -> Stealth:
    """Measures how little a trigger changes some of the test images behind the ASR."""
    test = inputs.split.test
    _, height, width = test.shape
    most = min(_COMPARED, max(1, _COMPARED_PIXELS // (height * width)))
    return measure_stealth(test[previews.shown(test, target, inputs.classes, most)], trigger)


def _test_classes(labels: Tensor, classes: int) -> dict[str, int | float]:
    """Returns the number of classes, and the share of the largest among (N,) test labels."""
    count = torch.bincount(labels.cpu(), minlength=classes)
    return {"number": classes, "largest": int(count.max()) / len(labels)}


def control(inputs: StageInputs) -> StageResult:
    """Trains as the victim is trained: same weights, order and augmentation, no poison."""
    model = inputs.new_model()
    trained = fit(
        model,
        inputs.split.victim,
        inputs.recipe,
        seed=inputs.attack_seed.child("training"),
        what="control",
    )
    return StageResult(
        files={"weights.safetensors": pack(model.eval())},
        details=ControlDetails(classes=list(inputs.dataset.classes), losses=trained.losses),
    )


def baseline(inputs: StageInputs) -> StageResult:
    """Measures the control with the trigger of a victim."""
    trigger, target = inputs.trigger()
    return StageResult(
        **backdoor_rates(inputs, inputs.model("model"), trigger, target),
        before=Cost.of(inputs.parent("model", CONTROL)),
    )


FUNCTIONS = {VICTIM: victim, CONTROL: control, BASELINE: baseline}
"""Kind -> the function that computes it."""
