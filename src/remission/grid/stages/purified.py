"""Stages that purify a victim, or the control in its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from remission.grid.plan.stage import PURIFIER, THE_CONTROL
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.inverted import answer_of
from remission.grid.stages.rates import backdoor_rates, clean_rates
from remission.grid.stages.result import Cost, StageResult
from remission.inversion import InvertedSource, KnownSource, TriggerSource
from remission.models import Classifier
from remission.models.checkpoint import pack
from remission.purifiers import inverts
from remission.records import kinds
from remission.records.details import (
    InnocentDetails,
    InversionAnswer,
    InversionDetails,
    PurifiedDetails,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Purification:
    """A purified model, its cost, and the answers of the inversions behind it.

    Args:
        model: the purified model.
        cost: cost of the purifier alone; None where no purifier ran.
        before: cost of the first inversion.
        first: the answer of the first inversion; None without one.
        later: the answers of the inversions of further rounds, in order.
        applied: whether the purifier changed the model, see :class:`remission.records.Cell`; None
            where no purifier ran.
    """

    model: Classifier
    cost: Cost | None = None
    before: Cost = field(default_factory=Cost)
    first: InversionAnswer | None = None
    later: list[InversionAnswer] = field(default_factory=list)
    applied: bool | None = None


def purified(inputs: StageInputs) -> StageResult:
    """Purifies a victim and measures the purified model."""
    purification = _purify(inputs)
    return StageResult(
        **backdoor_rates(inputs, purification.model, *inputs.trigger()),
        files={"weights.safetensors": pack(purification.model)},
        details=PurifiedDetails(later_inversions=purification.later),
        cell_fields={"applied": purification.applied},
        cost=purification.cost,
        before=purification.before,
    )


def innocent(inputs: StageInputs) -> StageResult:
    """Hands the control to a purifier, or leaves it as it is, and measures its clean accuracy."""
    if inputs.stage.method(PURIFIER) == THE_CONTROL:
        purification = _Purification(model=inputs.model("victim"))
    else:
        purification = _purify(inputs)
    return StageResult(
        **clean_rates(inputs, purification.model),
        details=InnocentDetails(inversion=purification.first, later_inversions=purification.later),
        cell_fields={"applied": purification.applied},
        cost=purification.cost,
        before=purification.before,
    )


def _purify(inputs: StageInputs) -> _Purification:
    """Purifies the model of the parent ``victim`` with the trigger that the purifier is given."""
    purifier = inputs.purifier
    source: TriggerSource | None = None
    first, before, later = None, Cost(), list[InversionAnswer]()
    if inverts(purifier):
        record = inputs.parent("inversion", kinds.INVERSION)
        before = Cost.of(record) + _references(InversionDetails.of(record))
        inverted = inputs.inverted()
        first = answer_of(inverted, inputs.stage)
        source = InvertedSource(
            inputs.inversion,
            inverted,
            lambda renewed: later.append(answer_of(renewed, inputs.stage)),
        )
    elif purifier.needed_trigger() == "true":
        source = KnownSource(inputs.trigger()[0])
    model, clean = inputs.model("victim"), inputs.split.defender
    began = Cost.until_now()
    result = purifier(
        model, clean, seed=inputs.seed.child("purifier", purifier.name), trigger=source
    )
    cost = Cost.until_now() - began
    return _Purification(
        model=result.model,
        cost=cost,
        before=before,
        first=first,
        later=later,
        applied=_differs(result.model, model),
    )


def _references(details: InversionDetails) -> Cost:
    """Returns what the models cost that an inversion compared with."""
    return Cost(details.reference_seconds or 0.0, details.reference_cpu_seconds or 0.0)


def _differs(purified: Classifier, victim: Classifier) -> bool:
    """Returns whether any weight or buffer differs; both models have the same keys and shapes."""
    before, after = victim.state_dict(), purified.state_dict()
    return not all(torch.equal(after[key], value) for key, value in before.items())


FUNCTIONS = {kinds.PURIFIED: purified, kinds.INNOCENT: innocent}
"""Kind -> the function that computes it."""
