"""How long a run would take, estimated without running it."""

from __future__ import annotations

from remission.grid.dry_run.estimate import elapsed, estimate
from remission.grid.dry_run.inputs import stand_in

__all__ = ["elapsed", "estimate", "stand_in"]
