"""What a transfer measured: every perturbation of one reactivation on every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from remission.records.cell import Json
from remission.records.details import AttackedDetails, TriedModel


@dataclass(frozen=True, kw_only=True)
class TransferDetails(AttackedDetails):
    """Details of a ``transfer``: every perturbation of one reactivation on every model.

    Args:
        models: the first of them the control; rows and columns of the matrices are in their order.
        asr: one row per perturbation, made for that model; one column per model it was tried on.
        asr_clean: the same without the trigger; None where it was not measured.
        n_triggered: triggered test images behind each ASR that no reactivation's own cell holds.

    The other fields are those of a cell: they say which reactivation it is about.
    """

    _written_as_null: ClassVar[tuple[str, ...]] = ("attack_params", "reactivation_params", "budget")

    reactivation: str | None = None
    reactivation_params: Json = field(default_factory=dict)
    budget: int | None = None
    models: list[TriedModel] = field(default_factory=list)
    asr: list[list[float]] = field(default_factory=list)
    asr_clean: list[list[float | None]] = field(default_factory=list)
    n_triggered: int | None = None

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` writes."""
        matrix = inner if isinstance(inner := details.get("transfer"), Mapping) else {}
        return super().from_json({**matrix, "facts": details.get("facts", {})})

    def to_json(self) -> Json:
        """Returns the details as a record holds them."""
        matrix = super().to_json()
        facts = matrix.pop("facts", None)
        return {"transfer": matrix} | ({"facts": facts} if facts else {})
