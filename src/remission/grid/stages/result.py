"""The result of a stage, its cost, and the cell that is made from both."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remission.grid.plan.cell_keys import cell_keys
from remission.grid.plan.stage import Stage
from remission.intervals import Rate
from remission.metrics import Rates
from remission.records import Cell, PathCurve, Plane, Record
from remission.records.details import Details


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and processor seconds over all threads (None: not known)."""

    seconds: float = 0.0
    cpu: float | None = 0.0

    @classmethod
    def until_now(cls) -> Cost:
        """Reads the clocks. Only the difference of two readings means anything."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def of(cls, record: Record) -> Cost:
        """Returns what the stage of a record cost."""
        return cls(record.seconds, record.cpu_seconds)

    def __sub__(self, earlier: Cost) -> Cost:
        """Returns the time between an earlier reading of the clocks and this one."""
        cpu = None if self.cpu is None or earlier.cpu is None else self.cpu - earlier.cpu
        return Cost(self.seconds - earlier.seconds, cpu)

    def __add__(self, other: Cost) -> Cost:
        """Returns the sum of two costs."""
        cpu = None if self.cpu is None or other.cpu is None else self.cpu + other.cpu
        return Cost(self.seconds + other.seconds, cpu)


@dataclass(frozen=True, kw_only=True, eq=False)
class StageResult:
    """The result of a stage, which :mod:`remission.grid.stages.execute` writes into the store.

    Args:
        files: name of an artefact, with its ending -> content.
        details: what the record notes in addition to its cell and its curves.
        rates: of the measured model; clean accuracy alone where nobody attacked; None if the stage
            measures no model.
        validation: the same on the validation images; None if there are none.
        paths: measurements along paths between models.
        plane: measurements on the plane through three models.
        cell_fields: further fields of the cell.
        cost: of the method alone; None: that of the stage, loading and measuring included.
        before: cost of earlier stages that is added to that of this cell's model.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    details: Details | Mapping[str, Any] = field(default_factory=dict)
    rates: Rates | Rate | None = None
    validation: Rates | Rate | None = None
    paths: tuple[PathCurve, ...] = ()
    plane: Plane | None = None
    cell_fields: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    before: Cost = field(default_factory=Cost)

    def details_json(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the details as a record holds them.

        Args:
            facts: of the method that the stage ran; empty where it ran none.
        """
        values = self.details
        details = values.to_json() if isinstance(values, Details) else dict(values)
        return details | ({"facts": dict(facts)} if facts else {})

    def cell(self, stage: Stage, whole: Cost) -> Cell | None:
        """Returns the cell of the measured model; None if the stage measured none.

        Args:
            stage: the stage.
            whole: what the stage cost.
        """
        if self.rates is None:
            return None
        cost = (self.cost or whole) + self.before
        return Cell(
            **cell_keys(stage),
            **_fields(self.rates),
            **_validation_fields(self.validation),
            seconds=cost.seconds,
            cpu_seconds=cost.cpu,
            **self.cell_fields,
        )


def _fields(rates: Rates | Rate) -> dict[str, Any]:
    """Returns the fields of a cell that hold rates on test images."""
    if isinstance(rates, Rate):
        return {
            "clean_acc": rates.value,
            "clean_acc_interval": rates.interval,
            "n_clean": rates.total,
        }
    return {
        **_fields(rates.clean_acc),
        "asr": rates.asr.value,
        "robust_acc": rates.robust_acc.value,
        "asr_interval": rates.asr.interval,
        "n_triggered": rates.asr.total,
    }


def _validation_fields(rates: Rates | Rate | None) -> dict[str, Any]:
    """Returns the fields of a cell that hold rates on the validation images."""
    if rates is None:
        return {}
    if isinstance(rates, Rate):
        return {"validation_clean_acc": rates.value, "n_validation": rates.total}
    return {
        **_validation_fields(rates.clean_acc),
        "validation_asr": rates.asr.value,
        "n_validation_triggered": rates.asr.total,
    }
