"""Perturbations of images, made for one model and measured on several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import StageResult
from remission.intervals import Rate
from remission.metrics import Rates, accuracy, attack_success_rate, counted, robust_accuracy
from remission.models import Classifier
from remission.models.checkpoint import pack
from remission.previews import COUNT, shown, strip
from remission.reactivations import InputReactivation, Perturbation
from remission.records.details import ReactivatedDetails
from remission.training import predict
from remission.triggers import Trigger
from remission.types import LabelledImages, Target, rounded

_Map = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] -> images of the same shape in [0, 1]."""


def perturbed(inputs: StageInputs, method: InputReactivation) -> StageResult:
    """Makes a perturbation for the stage's model; measures it there, on the control, on the victim.

    Args:
        inputs: parents ``model``, ``control`` and ``victim``.
        method: the reactivation.
    """
    models = {role: inputs.model(role) for role in ("model", "control", "victim")}
    trigger, target = inputs.trigger()
    outcome = method(
        models["model"],
        inputs.split.attacker,
        trigger,
        target,
        budget=inputs.stage.budget,
        seed=inputs.seed.child("reactivation", method.name),
        crafted=inputs.crafted,
        **{role: models[role] for role in method.borrows()},
    )
    measured = {
        role: measure(
            model,
            inputs.split.test,
            outcome.perturbation,
            trigger,
            target,
            triggered=method.triggered,
        )
        for role, model in models.items()
    }
    rates = measured["model"].rates
    return StageResult(
        rates=rates,
        cell_fields={
            "asr_clean": measured["model"].asr_clean.value,
            "control_asr": measured["control"].rates.asr.value,
            "control_asr_clean": measured["control"].asr_clean.value,
            "queries": outcome.queries,
        },
        details=_details(measured),
        files={
            "perturbation.safetensors": pack(outcome.perturbation),
            **_strips(inputs, method, outcome.perturbation, trigger, target),
        },
    )


def _details(measured: Mapping[str, PerturbedRates]) -> ReactivatedDetails:
    control, victim = measured["control"], measured["victim"]
    return ReactivatedDetails(
        control_clean_acc=control.rates.clean_acc.value,
        victim_asr=victim.rates.asr.value,
        victim_asr_clean=victim.asr_clean.value,
        victim_clean_acc=victim.rates.clean_acc.value,
        preview_count=min(COUNT, measured["model"].rates.asr.total),
    )


def _strips(
    inputs: StageInputs,
    method: InputReactivation,
    perturbation: Perturbation,
    trigger: Trigger,
    target: Target,
) -> dict[str, bytes]:
    """Draws a few test images before and after a perturbation."""
    test = inputs.split.test
    images = test.floats(shown(test, target, inputs.classes, COUNT))
    with torch.inference_mode():
        before = _in_files(trigger)(images) if method.triggered else images
        after = perturbation(before)
    # The names follow the strips of a victim: first the images, then the changed images.
    name = "triggered" if method.triggered else "clean"
    return {f"preview_{name}.png": strip(before), "preview_perturbed.png": strip(after)}


@dataclass(frozen=True)
class PerturbedRates:
    """Rates of a model on perturbed images.

    Args:
        rates: accuracy on perturbed clean images; ASR and robust accuracy on the images that the
            attack submits.
        asr_clean: ASR on perturbed images without the trigger.
    """

    rates: Rates
    asr_clean: Rate


def measure(
    model: Classifier,
    test: LabelledImages,
    perturbation: Perturbation,
    trigger: Trigger,
    target: Target,
    *,
    triggered: bool,
) -> PerturbedRates:
    """Perturbs the test images; every image is rounded to 8 bits before and after, as files are.

    Args:
        model: images in [0, 1] -> logits.
        test: on the model's device.
        perturbation: image -> perturbed image.
        trigger: the attacker's trigger.
        target: the attacker's; images of that class do not count for ASR and robust accuracy.
        triggered: whether the attack submits perturbed triggered images; else they are clean.
    """
    indices, labels, wanted = counted(test.labels, target, model.classes)
    clean = predict(model, test, trigger=_in_files(perturbation))
    if triggered:
        submitted = predict(model, test, trigger=_in_files(trigger, perturbation), only=indices)
    else:
        submitted = clean[indices]
    return PerturbedRates(
        Rates(
            clean_acc=accuracy(clean, test.labels),
            asr=attack_success_rate(submitted, labels, wanted),
            robust_acc=robust_accuracy(submitted, labels, wanted),
        ),
        attack_success_rate(clean[indices], labels, wanted),
    )


def asr_under(
    model: Classifier,
    test: LabelledImages,
    perturbation: Perturbation,
    trigger: Trigger,
    target: Target,
    *,
    triggered: bool,
) -> Rate:
    """Measures the ASR of :func:`measure` alone, in half the time; arguments as there."""
    indices, labels, wanted = counted(test.labels, target, model.classes)
    maps = _in_files(trigger, perturbation) if triggered else _in_files(perturbation)
    submitted = predict(model, test, trigger=maps, only=indices)
    return attack_success_rate(submitted, labels, wanted)


def _in_files(*maps: _Map) -> _Map:
    """Returns the composition of the maps, with images rounded to 8 bits after each."""

    def chained(images: Tensor) -> Tensor:
        for change in maps:
            images = rounded(change(images))
        return images

    return chained
