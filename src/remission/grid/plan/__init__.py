"""The plan: a spec unrolled into stages with identities."""

from __future__ import annotations

from remission.grid.plan.planner import make_plan
from remission.grid.plan.select import select
from remission.grid.plan.stage import Stage

__all__ = ["Stage", "make_plan", "select"]
