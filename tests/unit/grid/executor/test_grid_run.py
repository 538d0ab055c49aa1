"""A stage that ran out of a shared device's memory is tried once more, with nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.reporter import RunOutcome, SilentReporter
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record
from remission.records import Store
from remission.records.claims import Claims, claims_in

FULL = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
CONTEXT: dict[str, object] = {
    "dataset": "digits",
    "size": None,
    "data": "0",
    "arch": "resnet18:2",
    "seed": 0,
    "precision": "fp32",
    "split": {},
    "recipe": {},
}


def stage(name: str) -> Stage:
    return Stage(kind="control", label=name, settings={"n": name, "context": CONTEXT}, parents={})


A, B, C = stage("a"), stage("b"), stage("c")


@pytest.fixture
def run(tmp_path: Path) -> GridRun:
    store = Store(tmp_path / "store")
    claims, queue = Claims(store.folder), StageQueue([A, B, C], ())
    return GridRun(store, claims, SilentReporter(), RunOutcome(), queue, shares_device=True)


def test_it_waits_until_nothing_else_is_computed(run: GridRun) -> None:
    assert run.next_stage() == A
    assert run.next_stage(others=1) == B
    assert run.requeue_alone(A, failure_record(A, FULL))
    assert A.id in run.alone
    assert run.next_stage(others=1) == C, "A must wait for B"
    assert run.next_stage(others=2) is None
    assert run.next_stage(others=0) == A
    assert not run.requeue_alone(A, failure_record(A, FULL)), "once"
    run.settle(A, failure_record(A, FULL))
    assert run.outcome.failed == {"a": FULL}


def test_any_other_failure_is_one(run: GridRun) -> None:
    assert run.next_stage() == A
    assert not run.requeue_alone(A, failure_record(A, "DivergedError: the loss is nan"))


def test_a_stage_that_had_the_device_for_itself_has_failed(run: GridRun) -> None:
    run.shares_device = False
    assert run.next_stage() == A
    assert not run.requeue_alone(A, failure_record(A, FULL))


def test_a_stage_that_does_not_fit_stays_ready_and_unclaimed(run: GridRun) -> None:
    assert run.next_stage(fits=lambda stage: stage == B) is None, "A comes first"
    assert list(claims_in(run.store.folder)) == []
    assert run.next_stage() == A
    assert run.next_stage(fits=lambda stage: stage == B) == B
