"""Executes one stage and stores its record, or one that says why there is no result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import torch

from remission.errors import StoreError
from remission.grid.plan.cell_keys import cell_keys
from remission.grid.plan.stage import Stage
from remission.grid.stages.environment import environment
from remission.grid.stages.facts import facts_of
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.kinds import compute
from remission.grid.stages.result import Cost
from remission.grid.stages.snapshots import StoredSnapshots
from remission.grid.stages.stage_log import StageLog, logged
from remission.models import compute_exactly, resolve_precision
from remission.records import Cell, Record, Store
from remission.records.kinds import KINDS
from remission.records.snapshots import drop_snapshot
from remission.training.snapshots import keeping
from remission.user_methods import place_of


def run_or_record_failure(
    stage: Stage, store: Store, device: torch.device, log: StageLog | None = None
) -> Record:
    """Executes a stage; a failure becomes a record that says why, with the last lines of its log.

    Args:
        stage: its parents are finished.
        store: read and written.
        device: where to compute.
        log: what the stage printed so far; None: nothing.

    Raises:
        StoreError: the store cannot be read or written.
        KeyboardInterrupt: interrupted.
    """
    began, log = time.perf_counter(), log or StageLog()
    try:
        with logged(log):
            return execute(stage, store, device)
    except (StoreError, KeyboardInterrupt):
        raise
    except BaseException as error:  # neither an error of a method nor its sys.exit stops the others
        reason = " ".join(f"{type(error).__name__}: {error}{place_of(error)}".split())
        record = replace(
            failure_record(stage, reason, log.lines()),
            environment=environment(device, resolve_precision(stage.context.precision, device)),
            seconds=time.perf_counter() - began,
        )
        record = record_failure(store, record)
        drop_snapshot(store.folder, stage.id)
        return record


def execute(stage: Stage, store: Store, device: torch.device) -> Record:
    """Computes one stage and stores its artefacts and its record.

    Arguments as for :func:`run_or_record_failure`.
    """
    compute_exactly(device)
    began = Cost.until_now()
    inputs = StageInputs(stage, store, device)
    snapshots = StoredSnapshots(store.folder, stage.id)
    with keeping(snapshots):
        result = compute(inputs)
    cost = Cost.until_now() - began + snapshots.spent
    if result.cost is not None:
        result = replace(result, cost=result.cost + snapshots.spent)
    record = Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="done",
        settings=stage.settings,
        parents=stage.parents,
        cell=result.cell(stage, cost),
        paths=result.paths,
        plane=result.plane,
        details=result.details_json(facts_of(stage)),
        artefacts=store.keep_artefacts(stage.id, dict(result.files)),
        environment=environment(device, inputs.precision),
        seconds=cost.seconds,
        cpu_seconds=cost.cpu,
        finished=_now(),
    )
    store.keep(record)
    drop_snapshot(store.folder, stage.id)
    return record


def failure_record(stage: Stage, reason: str, log: Sequence[str] = ()) -> Record:
    """Returns the record of a stage without a result, with a cell if it would have measured one.

    Args:
        stage: the stage that failed or was not tried.
        reason: why, in one line.
        log: the last lines that it printed or logged.
    """
    cell = None
    if KINDS[stage.kind].measures:
        cell = Cell(**cell_keys(stage), status="failed", error=reason)
    return Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="failed",
        settings=stage.settings,
        parents=stage.parents,
        cell=cell,
        details={"log": list(log)} if log else {},
        finished=_now(),
        error=reason,
    )


def record_failure(store: Store, failure: Record) -> Record:
    """Stores that a stage failed, unless its result is in the store.

    A worker may die, and a run may fail, when the result is published already.

    Returns:
        The record that is in the store now.
    """
    if (result := store.find(failure.kind, failure.id)) is not None:
        return result
    store.keep(failure)
    return failure


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
