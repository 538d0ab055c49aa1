"""How long work on a suspect model will take."""

from __future__ import annotations

from collections.abc import Callable

import torch

from remission.progress import cutting
from remission.rehearsal import Rehearsal

_PATIENCE = 0.15
"""Seconds for which each loop is timed before the work begins."""


def rehearsed(work: Callable[[], object], device: torch.device) -> float:
    """Returns about how many seconds some work takes, from a few steps of each of its loops.

    Args:
        work: is called once; what it does is thrown away.
        device: where it computes.
    """
    wait = torch.cuda.synchronize if device.type == "cuda" else None
    rehearsal = Rehearsal({}, wait=wait, patience=_PATIENCE)
    with cutting(rehearsal):
        work()
        return rehearsal.seconds
