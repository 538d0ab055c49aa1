"""Stages that reactivate a model, and that try perturbations on other models."""

from __future__ import annotations

from collections.abc import Sequence

from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.perturbed import asr_under, perturbed
from remission.grid.stages.rates import backdoor_rates
from remission.grid.stages.result import StageResult
from remission.progress import tracked
from remission.reactivations import InputReactivation, WeightReactivation
from remission.records import ATTACKED, Record
from remission.records.details import TriedModel
from remission.records.kinds import REACTIVATED, TRANSFER
from remission.records.transfer import TransferDetails


def reactivated(inputs: StageInputs) -> StageResult:
    """Reactivates a purified model, or the control, and measures it."""
    method = inputs.reactivation
    if isinstance(method, InputReactivation):
        return perturbed(inputs, method)
    assert isinstance(method, WeightReactivation)
    trigger, target = inputs.trigger()
    budget = inputs.stage.budget or 0
    model = inputs.reactivated(method, inputs.model("model"), trigger, target, budget=budget)
    return StageResult(**backdoor_rates(inputs, model, trigger, target))


_TRIED = 2000
"""The most test images behind a number of a transfer matrix: a standard error of one point."""

_SETTING = (*ATTACKED, "target_name", "seed", "reactivation", "reactivation_params", "budget")
"""The fields of a cell that a transfer matrix has as well."""


def transfer(inputs: StageInputs) -> StageResult:
    """Measures the ASR of every perturbation on every model.

    A reactivation's own cell holds the ASR on the model that the perturbation was made for, and on
    the control, with and without the trigger. On every other model the ASR is measured on up to
    2,000 test images, and not measured without the trigger.

    Args:
        inputs: parents ``model0`` ..., the first of them the control, and ``trained0`` ..., the
            reactivation of each.
    """
    method = inputs.reactivation
    assert isinstance(method, InputReactivation)
    count = sum(role.startswith("model") for role in inputs.stage.parents)
    trigger, target = inputs.trigger()
    perturbations = [inputs.perturbation(f"trained{n}", method) for n in range(count)]
    records = [inputs.parent(f"trained{n}", REACTIVATED) for n in range(count)]
    asr, asr_clean = _measured_already(records)
    test, total = inputs.some_test(_TRIED, "transfer"), 0
    for column in tracked(range(1, count), "transfer", count - 1):
        model = inputs.model(f"model{column}")
        for row, perturbation in enumerate(perturbations):
            if row == column:
                continue
            rate = asr_under(model, test, perturbation, trigger, target, triggered=method.triggered)
            asr[row][column], total = rate.value, rate.total
    return StageResult(
        details=TransferDetails(
            **{key: inputs.cell_keys[key] for key in _SETTING},
            models=[_tried_model(record) for record in records],
            asr=asr,
            asr_clean=asr_clean,
            n_triggered=total,
        )
    )


def _measured_already(
    records: Sequence[Record],
) -> tuple[list[list[float]], list[list[float | None]]]:
    """Returns the ASR with and without the trigger that the reactivations' own cells hold.

    Each cell holds them for its own model, and for the control, which is the first model.
    """
    count = len(records)
    asr = [[0.0] * count for _ in range(count)]
    asr_clean: list[list[float | None]] = [[None] * count for _ in range(count)]
    for row, record in enumerate(records):
        if cell := record.cell:
            asr[row][0], asr_clean[row][0] = cell.control_asr or 0.0, cell.control_asr_clean
            asr[row][row], asr_clean[row][row] = cell.asr or 0.0, cell.asr_clean
    return asr, asr_clean


def _tried_model(record: Record) -> TriedModel:
    """Returns the model that a reactivation was made for."""
    if cell := record.cell:
        return TriedModel(purifier=cell.purifier, purifier_params=cell.purifier_params)
    return TriedModel(purifier=record.label)


FUNCTIONS = {REACTIVATED: reactivated, TRANSFER: transfer}
"""Kind -> the function that computes it."""
