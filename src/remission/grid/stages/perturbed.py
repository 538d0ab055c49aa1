"""Reactivations that perturb images: how they are run in a stage, measured, and carried over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.previews import COUNT, shown, strip
from remission.metrics import Rate, Rates, accuracy, attack_success_rate, counted, robust_accuracy
from remission.models import Classifier
from remission.models.checkpoint import pack
from remission.progress import tracked
from remission.reactivations import InputReactivation, Perturbation, Perturbed
from remission.records import Record
from remission.registry import make_reactivation
from remission.training import predict
from remission.triggers import Trigger
from remission.types import LabelledImages, Target, as_bytes, as_float

Change = Callable[[Tensor], Tensor]


def wake(given: StageInputs, method: InputReactivation) -> Perturbed:
    """The perturbation made for the stage's model."""
    trigger, target = given.trigger()
    return method(
        given.model("model"),
        given.split.attacker,
        trigger,
        target,
        budget=given.stage.settings["budget"],
        seed=given.seed.child("reactivation", method.name),
        **{role: given.model(role) for role in method.borrows()},
    )


@dataclass(frozen=True)
class Reached:
    """What perturbed images do to a model.

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
) -> Reached:
    """Perturbs the test images; every image is rounded to 8 bits before and after, as files are.

    Args:
        model: images in [0, 1] -> logits.
        test: on the model's device.
        perturbation: image -> perturbed image.
        trigger: the attacker's.
        target: the attacker's; images of that class do not count for ASR and robust accuracy.
        triggered: the attack submits perturbed triggered images; else perturbed clean ones.
    """
    places, labels, wanted = counted(test.labels, target, model.classes)
    clean = predict(model, test, trigger=_in_files(perturbation))
    if triggered:
        changed = _in_files(trigger, perturbation)
        submitted = predict(model, test, trigger=changed, only=places)
    else:
        submitted = clean[places]
    return Reached(
        Rates(
            clean_acc=accuracy(clean, test.labels),
            asr=attack_success_rate(submitted, labels, wanted),
            robust_acc=robust_accuracy(submitted, labels, wanted),
        ),
        attack_success_rate(clean[places], labels, wanted),
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
    """The ASR of :func:`measure` and nothing else, in half the time; arguments as there."""
    places, labels, wanted = counted(test.labels, target, model.classes)
    changed = _in_files(trigger, perturbation) if triggered else _in_files(perturbation)
    submitted = predict(model, test, trigger=changed, only=places)
    return attack_success_rate(submitted, labels, wanted)


def _in_files(*changes: Change) -> Change:
    """One change after the other, the image rounded to 8 bits after each."""

    def changed(images: Tensor) -> Tensor:
        for change in changes:
            images = as_float(as_bytes(change(images)))
        return images

    return changed


@dataclass(frozen=True)
class Shown:
    """A perturbation and what it does to the model that it was made for, and to others."""

    made: Perturbed
    on: dict[str, Reached]
    """Role -> what it does there: the model, the control, the victim."""
    previews: dict[str, bytes]

    @classmethod
    def of(cls, given: StageInputs, method: InputReactivation, made: Perturbed) -> Shown:
        """Measures a perturbation, and shows it on a few test images."""
        trigger, target = given.trigger()
        test = given.split.test
        on = {
            role: measure(
                given.model(role),
                test,
                made.perturbation,
                trigger,
                target,
                triggered=method.triggered,
            )
            for role in ("model", "control", "victim")
        }
        images = test.floats(shown(test, target, len(given.dataset.classes), COUNT))
        with torch.inference_mode():
            before = _in_files(trigger)(images) if method.triggered else images
            after = made.perturbation(before)
        # named as the strips of a victim are: what is changed, then what it becomes
        name = "triggered" if method.triggered else "clean"
        previews = {f"preview_{name}.png": strip(before), "preview_perturbed.png": strip(after)}
        return cls(made, on, previews)

    def kept(self) -> tuple[Rates, dict[str, Any], dict[str, Any], dict[str, bytes]]:
        """Rates, further fields of the cell, details and files."""
        rates, control, victim = (self.on[role] for role in ("model", "control", "victim"))
        more = {
            "asr_clean": rates.asr_clean.value,
            "control_asr": control.rates.asr.value,
            "control_asr_clean": control.asr_clean.value,
            "queries": self.made.queries,
        }
        details = {
            "control_clean_acc": control.rates.clean_acc.value,
            "victim_asr": victim.rates.asr.value,
            "victim_asr_clean": victim.asr_clean.value,
            "victim_clean_acc": victim.rates.clean_acc.value,
            "preview_count": min(COUNT, rates.rates.asr.total),
        }
        files = {"perturbation.safetensors": pack(self.made.perturbation), **self.previews}
        return rates.rates, more, details, files


_TRIED = 2000
"""Test images, at most, behind a number of a transfer matrix: a standard error of one point."""

_SETTING = (
    *("dataset", "arch", "attack", "attack_params", "poison_rate", "target", "target_name", "seed"),
    *("reactivation", "reactivation_params", "budget"),
)


def try_everywhere(given: StageInputs, keys: dict[str, Any]) -> dict[str, Any]:
    """ASR of every perturbation on every model: a row a perturbation, a column a model.

    What a reactivation's own cell has not measured is measured on up to 2,000 test images.
    ``asr_clean``, without the trigger, is known where the reactivation's own cell measured it: on
    the model that it was made for, and on the control; None elsewhere.

    Args:
        given: parents ``model0`` ..., the first of them the control, and ``trained0`` ..., the
            reactivation of each.
        keys: of a cell of the stage.
    """
    method = make_reactivation(given.stage.settings["reactivation"])
    assert isinstance(method, InputReactivation)
    count = sum(role.startswith("model") for role in given.stage.parents)
    trigger, target = given.trigger()
    perturbations = [given.perturbation(f"trained{n}", method) for n in range(count)]
    asr = [[0.0] * count for _ in range(count)]
    asr_clean: list[list[float | None]] = [[None] * count for _ in range(count)]
    makers = [given.parent(f"trained{n}", ("reactivated",)) for n in range(count)]
    for row, maker in enumerate(makers):  # measured already: where it was made, and on the control
        if cell := maker.cell:
            asr[row][0], asr_clean[row][0] = cell.control_asr or 0.0, cell.control_asr_clean
            asr[row][row], asr_clean[row][row] = cell.asr or 0.0, cell.asr_clean
    test, total = given.some_test(_TRIED, "transfer"), 0
    for column in tracked(range(1, count), "transfer", count - 1):
        model = given.model(f"model{column}")
        for row, perturbation in enumerate(perturbations):
            if row == column:
                continue
            reached = asr_under(
                model, test, perturbation, trigger, target, triggered=method.triggered
            )
            asr[row][column], total = reached.value, reached.total
    return {
        **{key: keys[key] for key in _SETTING},
        "models": [_named(maker) for maker in makers],
        "asr": asr,
        "asr_clean": asr_clean,
        "n_triggered": total,
    }


def _named(record: Record) -> dict[str, Any]:
    """The purified model that a reactivation was tried on."""
    cell = record.cell
    return {
        "purifier": cell.purifier if cell else record.label,
        "purifier_params": cell.purifier_params if cell else {},
    }
