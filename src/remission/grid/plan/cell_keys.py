"""What the settings of a stage say about the model that it measures."""

from __future__ import annotations

from typing import Any

from remission.catalogue import default_inversion
from remission.grid.plan.stage import (
    ATTACK,
    INVERSION,
    NOBODY,
    PURIFIER,
    REACTIVATION,
    THE_CONTROL,
    Settings,
    Stage,
)
from remission.records import brief
from remission.records.kinds import BASELINE, VICTIM
from remission.records.labels import MethodKey, purifier_key

NOTHING = {"method": NOBODY}
"""The table of a method where none was used."""


def cell_keys(stage: Stage) -> dict[str, Any]:
    """Returns the fields of a cell that the settings alone determine; a failed cell has them, too.

    A digest stands for a picture among the parameters; the record's settings hold the picture.
    """
    attack, purifier = brief(stage.table(ATTACK)), purifier_table(stage)
    reactivation = brief(stage.table(REACTIVATION) or NOTHING)
    return {
        "id": stage.id,
        "dataset": stage.dataset,
        "arch": stage.context.arch,
        "attack": attack.pop("method"),
        "poison_rate": attack.pop("poison_rate"),
        "target": attack.pop("target"),
        "target_name": stage.target_name,
        "attack_params": attack,
        "seed": stage.context.seed,
        "purifier": purifier.pop("method"),
        "purifier_params": purifier,
        "reactivation": reactivation.pop("method"),
        "reactivation_params": reactivation,
        "budget": stage.budget,
    }


def purifier_table(stage: Stage) -> Settings:
    """Returns the purifier as cells show it: with the inversion unless that is the default."""
    if stage.kind == BASELINE.name:
        return {"method": THE_CONTROL}
    table: Settings = brief(stage.table(PURIFIER) or NOTHING)
    inversion = stage.method(INVERSION) or default_inversion()
    return table if inversion == default_inversion() else {**table, "inversion": inversion}


def row_of(stage: Stage) -> MethodKey | None:
    """Returns the row of a table that a stage belongs to: its purifier, the control or the victim.

    None for a stage that is no part of a row, such as an inversion, which several rows share.
    """
    if stage.table(PURIFIER) or stage.kind in (VICTIM.name, BASELINE.name):
        table = purifier_table(stage)
        return purifier_key(table.pop("method"), table)
    return None
