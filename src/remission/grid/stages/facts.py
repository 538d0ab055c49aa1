"""Facts of the method that a stage ran, so that tables judge by facts and not by names."""

from __future__ import annotations

from remission.grid.plan.stage import ATTACK, INVERSION, PURIFIER, REACTIVATION, Stage
from remission.records import Json
from remission.records.kinds import KINDS
from remission.registry import known

_ROLES = (ATTACK, INVERSION, PURIFIER, REACTIVATION)


def facts_of(stage: Stage) -> Json:
    """Returns the facts of the method whose code a stage runs; empty where it runs none.

    They are what the method needs, and what :meth:`remission.method.Method.facts` says of it.
    """
    role = KINDS[stage.kind].runs
    cls = known(role).get(stage.method(role)) if role in _ROLES else None
    return {"needs": list(cls.needs), **cls.facts()} if cls else {}
