"""What a record says of the method that it was made with, so that no table judges by its name."""

from __future__ import annotations

from remission.grid.plan.stage import Stage
from remission.records import Json
from remission.records.kinds import KINDS
from remission.registry import known

_ROLES = ("attack", "inversion", "purifier", "reactivation")


def facts_of(stage: Stage) -> Json:
    """Returns an entry ``facts`` for the details of a record; nothing where no method was run.

    It holds ``needs`` and the facts of the method (:meth:`remission.method.Method.facts`).
    """
    role = KINDS[stage.kind].runs
    if role not in _ROLES or role not in stage.settings:
        return {}
    cls = known(role).get(stage.settings[role]["method"])
    return {"facts": {"needs": list(cls.needs), **cls.facts()}} if cls else {}
