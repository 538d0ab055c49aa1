"""Stages that are one batch job: one model reactivated in one way with several budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from remission.grid.inputs import StageInputs
from remission.grid.kept import Kept, Spent
from remission.grid.plan import Stage
from remission.grid.stages import book, settle_on
from remission.grid.store import Store
from remission.reactivations import WeightReactivation
from remission.records import Record
from remission.registry import make_reactivation
from remission.training import evaluate


def siblings(stage: Stage, waiting: Iterable[Stage]) -> list[Stage]:
    """The other stages in ``waiting`` that differ from ``stage`` in the budget alone."""
    if stage.kind != "reactivated" or stage.settings["budget"] is None:
        return []
    if not isinstance(make_reactivation(stage.settings["reactivation"]), WeightReactivation):
        return []
    own = _apart_from_budget(stage)
    return [other for other in waiting if other is not stage and _apart_from_budget(other) == own]


def _apart_from_budget(stage: Stage) -> tuple[Any, ...]:
    settings = {key: value for key, value in stage.settings.items() if key != "budget"}
    return stage.kind, settings, stage.parents


def execute_together(
    stages: list[Stage], store: Store, device: torch.device, done: Callable[[Stage, Record], None]
) -> None:
    """Computes siblings, keeps each one's record and tells it; the time is shared out evenly.

    Args:
        stages: siblings, their parents finished.
        store: read and written.
        device: where to compute.
        done: told of each record as soon as it is kept.
    """
    settle_on(device)
    began = Spent.until_now()
    given = StageInputs(stages[0], store, device)
    reactivation = make_reactivation(given.stage.settings["reactivation"])
    assert isinstance(reactivation, WeightReactivation)
    trigger, target = given.trigger()
    models = reactivation.all_at_once(
        given.model("model"),
        given.split.attacker,
        trigger,
        target,
        budgets=[stage.settings["budget"] for stage in stages],
        seed=given.seed.child("reactivation", reactivation.name),
    )
    each = (Spent.until_now() - began).shared(len(stages))
    for stage, model in zip(stages, models, strict=True):
        began = Spent.until_now()
        kept = Kept(rates=evaluate(model, given.split.test, trigger, target))
        done(stage, book(stage, given, kept, store, each + (Spent.until_now() - began)))
