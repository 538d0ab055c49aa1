"""Synthetic records of ensembles of retunings."""

from __future__ import annotations

from typing import Any

from remission.records import Cell, Record
from remission.records.ensemble import EnsembleDetails, EnsembleEntry
from tests.unit.report.report_factory import cell, record

KEYS = (
    *("dataset", "arch", "attack", "attack_params", "poison_rate", "target", "target_name"),
    *("seed", "purifier", "purifier_params"),
)
SIZES: dict[str, Any] = {
    "n_clean": 10000,
    "n_triggered": 9000,
    "n_validation": 500,
    "n_validation_triggered": 450,
}
USUAL = {"epochs": 5, "layers": "all", "lr": 0.01}


def measured(
    purifier: str,
    asr: float,
    validation_clean_acc: float = 0.9,
    **more: Any,  # noqa: ANN401  # any field
) -> Cell:
    """Returns a model before any retuning."""
    rates = {"validation_asr": asr, "validation_clean_acc": validation_clean_acc}
    return cell(purifier=purifier, asr=asr, clean_acc=validation_clean_acc, **rates, **more)


def entry(
    validation_asr: float | None,
    asr: float | None = None,
    accuracy: float | None = 0.9,
    *,
    budget: int = 5,
    **retuning: Any,  # noqa: ANN401  # any parameter
) -> EnsembleEntry:
    """Returns one retuning; ``accuracy`` is on the validation. It failed without an ASR."""
    failed = validation_asr is None
    return EnsembleEntry(
        retuning=USUAL | retuning,
        budget=budget,
        clean_acc=None if failed else accuracy,
        asr=validation_asr if asr is None else asr,
        validation_clean_acc=None if failed else accuracy,
        validation_asr=validation_asr,
        error="DivergedError: the loss" if failed else None,
    )


def ensemble_of(
    model: Cell,
    *entries: EnsembleEntry,
    **changes: Any,  # noqa: ANN401  # any field of a record
) -> Record:
    """Returns the record of the ensemble of a model."""
    details = EnsembleDetails(
        **{key: getattr(model, key) for key in KEYS}, entries=list(entries), **SIZES
    )
    name = f"ensemble-{model.id}-{len(entries)}"
    return record(id=name, kind="ensemble", details=details.to_json(), **changes)
