"""The ``details`` of the record of an ensemble: what each retuning of one model reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from remission.records.cell import Json
from remission.records.details import AttackedDetails, Details


@dataclass(frozen=True, kw_only=True)
class EnsembleEntry(Details):
    """One retuning of a model with one budget. Rates are None where it failed.

    Args:
        retuning: its parameters.
        budget: the number of poisoned images.
        clean_acc: accuracy on clean test images.
        asr: ASR on triggered test images, as in :class:`remission.records.Cell`.
        robust_acc: robust accuracy on the same images.
        validation_clean_acc: ``clean_acc`` on the validation images.
        validation_asr: ``asr`` on the validation images.
        seconds: wall-clock seconds of retuning and measuring.
        error: why it failed, in one line; None where it did not.
    """

    retuning: Json = field(default_factory=dict)
    budget: int = 0
    clean_acc: float | None = None
    asr: float | None = None
    robust_acc: float | None = None
    validation_clean_acc: float | None = None
    validation_asr: float | None = None
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class EnsembleDetails(AttackedDetails):
    """Details of an ``ensemble``: many retunings of one model.

    Args:
        entries: the retunings in the order of the spec.
        n_clean: test images behind each ``clean_acc``.
        n_triggered: triggered test images behind each ``asr``.
        n_validation: images behind each ``validation_clean_acc``.
        n_validation_triggered: triggered images behind each ``validation_asr``.

    The other fields are those of a cell: they say which model it is about.
    """

    _written_as_null: ClassVar[tuple[str, ...]] = ("attack_params", "purifier_params")

    purifier: str | None = None
    purifier_params: Json = field(default_factory=dict)
    entries: list[EnsembleEntry] = field(default_factory=list)
    n_clean: int = 0
    n_triggered: int = 0
    n_validation: int = 0
    n_validation_triggered: int = 0
