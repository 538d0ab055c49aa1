"""The stage that retunes one model in many ways and notes what each of them reaches.

Every entry is the retuning that a stage of its own would be: the same seed, the same images. No
weights are stored, so that an ensemble of 40 costs no more space than one record. A retuning that
diverges is noted as failed in its place, and the others go on.
"""

from __future__ import annotations

import time
from typing import Any

from remission.errors import DivergedError
from remission.grid.plan.ensembles import BUDGET, ENTRIES
from remission.grid.plan.stage import ENSEMBLE, Settings
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.rates import backdoor_rates
from remission.grid.stages.result import StageResult
from remission.models import Classifier
from remission.progress import tracked, within
from remission.reactivations import Retuning
from remission.records import SUBJECT, kinds
from remission.records.ensemble import EnsembleDetails, EnsembleEntry
from remission.registry import make_reactivation
from remission.triggers import Trigger
from remission.types import Target

_KEYS = (*SUBJECT, "target_name")
"""The fields of a cell that an ensemble has as well."""


def ensemble(inputs: StageInputs) -> StageResult:
    """Retunes the model of the parent ``model`` by every entry; measures each result."""
    stage = _EnsembleStage(inputs)
    tables: list[Settings] = inputs.stage.table(ENSEMBLE)[ENTRIES]
    entries = []
    for number, table in enumerate(tables, start=1):
        with within(f"{number}/{len(tables)}"):
            entries.append(stage.entry(table))
    return StageResult(
        details=EnsembleDetails(
            **{key: inputs.cell_keys[key] for key in _KEYS}, entries=entries, **stage.counts
        )
    )


class _EnsembleStage:
    """The model, and what it is retuned and measured with."""

    def __init__(self, inputs: StageInputs) -> None:
        self.inputs = inputs
        self.model = inputs.model("model")
        self.trigger: Trigger
        self.target: Target
        self.trigger, self.target = inputs.trigger()
        self.counts: dict[str, Any] = {}
        """The numbers of images behind the rates."""

    def entry(self, table: Settings) -> EnsembleEntry:
        """Retunes the model once and measures it; ``table`` is an entry of the settings."""
        parameters = {key: value for key, value in table.items() if key != BUDGET}
        began = time.perf_counter()
        found: dict[str, Any] = {}
        try:
            model = self._retuned(parameters, table[BUDGET])
            for _ in tracked(range(1), "measuring", 1):  # takes equally long for each entry
                found = self._rates(model)
        except DivergedError as error:
            found = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        seconds = time.perf_counter() - began
        return EnsembleEntry(retuning=parameters, budget=table[BUDGET], seconds=seconds, **found)

    def _retuned(self, parameters: Settings, budget: int) -> Classifier:
        method = make_reactivation({"method": Retuning.name, "budgets": [budget], **parameters})
        assert isinstance(method, Retuning)
        return self.inputs.reactivated(method, self.model, self.trigger, self.target, budget=budget)

    def _rates(self, model: Classifier) -> dict[str, float]:
        """Measures a model on both sets of images."""
        measured = backdoor_rates(self.inputs, model, self.trigger, self.target)
        test, held = measured["rates"], measured["validation"]
        assert held is not None, "a spec with an ensemble has validation images"
        self.counts = {
            "n_clean": test.clean_acc.total,
            "n_triggered": test.asr.total,
            "n_validation": held.clean_acc.total,
            "n_validation_triggered": held.asr.total,
        }
        return {
            "clean_acc": test.clean_acc.value,
            "asr": test.asr.value,
            "robust_acc": test.robust_acc.value,
            "validation_clean_acc": held.clean_acc.value,
            "validation_asr": held.asr.value,
        }


FUNCTIONS = {kinds.ENSEMBLE: ensemble}
"""Kind -> the function that computes it."""
