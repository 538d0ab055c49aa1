"""One stage, whatever happens: its record, or one that says why there is none."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import torch

from remission.errors import StoreError
from remission.grid.plan.stage import Stage
from remission.grid.stages.environment import environment
from remission.grid.stages.execute import cell_keys, execute
from remission.models import resolve_precision
from remission.records import Cell, Record, Store


def attempt(stage: Stage, store: Store, device: torch.device) -> Record:
    """Executes a stage; a failure becomes a record that says why.

    Raises:
        StoreError: the store cannot be written.
    """
    began = time.perf_counter()
    try:
        return execute(stage, store, device)
    except StoreError:
        raise
    except Exception as error:  # whatever a method does wrong, the other cells go on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        precision = resolve_precision(stage.settings["context"]["precision"], device)
        record = replace(
            failed(stage, reason),
            environment=environment(device, precision),
            seconds=time.perf_counter() - began,
        )
        store.keep(record)
        return record


def failed(stage: Stage, reason: str) -> Record:
    """The record of a stage that has no result, with its cell if it would have measured one."""
    measured = stage.kind in ("victim", "baseline", "purified", "reactivated", "innocent")
    return Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="failed",
        settings=stage.settings,
        parents=stage.parents,
        cell=Cell(**cell_keys(stage), status="failed", error=reason) if measured else None,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        error=reason,
    )
