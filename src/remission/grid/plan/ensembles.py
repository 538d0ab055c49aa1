"""An ensemble of retunings as the settings of a stage hold it."""

from __future__ import annotations

from collections.abc import Sequence

from remission.grid.plan.stage import ENSEMBLE, Settings, table_of, versions
from remission.grid.spec.methods import PlannedReactivation
from remission.reactivations import Reactivation, Retuning
from remission.records.labels import canonical

ENTRIES, BUDGET = "entries", "budget"
"""Keys of an ensemble, and of an entry in addition to the parameters of its retuning."""


def ensemble_settings(ensemble: Sequence[PlannedReactivation], attack: str) -> Settings:
    """Returns the settings of an ensemble after an attack; empty where there is no entry.

    An entry is one retuning with one budget. An entry that a spec names twice is tried once.
    """
    methods = [p.reactivation for p in ensemble if attack in p.attacks]
    entries: dict[str, Settings] = {}
    for method in methods:
        table = without_budgets(method)
        del table["method"]  # all entries have the same
        for budget in method.tries():
            entry = {**table, BUDGET: budget}
            entries.setdefault(canonical(entry), entry)
    if not entries:
        return {}
    table = {"method": Retuning.name, ENTRIES: list(entries.values())}
    return {ENSEMBLE: table, **versions(**{ENSEMBLE: methods[0]})}


def without_budgets(reactivation: Reactivation) -> Settings:
    """Returns a reactivation as settings hold it: a stage's budget is a setting of its own."""
    return {key: value for key, value in table_of(reactivation).items() if key != "budgets"}
