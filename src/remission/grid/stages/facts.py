"""What a record says of its method and its data, so that tables judge by facts and not by names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remission.grid.plan.stage import Stage
from remission.grid.stages.inputs import StageInputs
from remission.records import Json
from remission.records.kinds import KINDS
from remission.registry import known

_ROLES = ("attack", "inversion", "purifier", "reactivation")


def noted(inputs: StageInputs) -> Json:
    """Returns what the details of every record say of its method and, of a victim, of its data."""
    details = facts_of(inputs.stage)
    if inputs.stage.kind == "victim":
        details["test_classes"] = test_classes(inputs.split.test.labels, inputs.dataset.classes)
    return details


def test_classes(labels: Tensor, classes: Sequence[str]) -> Json:
    """Returns how many classes there are, and the share of the largest among the test images.

    Args:
        labels: (N,) class indices, N > 0.
        classes: the names of all classes.
    """
    count = torch.bincount(labels.cpu(), minlength=len(classes))
    return {"number": len(classes), "largest": int(count.max()) / len(labels)}


def facts_of(stage: Stage) -> Json:
    """Returns an entry ``facts`` for the details of a record; nothing where no method was run.

    It holds ``needs`` and the facts of the method (:meth:`remission.method.Method.facts`).
    """
    role = KINDS[stage.kind].runs
    if role not in _ROLES or role not in stage.settings:
        return {}
    cls = known(role).get(stage.settings[role]["method"])
    return {"facts": {"needs": list(cls.needs), **cls.facts()}} if cls else {}
