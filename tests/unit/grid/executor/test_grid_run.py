"""A stage that ran out of a shared device's memory is tried once more, with nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.reporter import RunOutcome, SilentReporter
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record
from remission.records import Record, Store
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


def finished(stage: Stage) -> Record:
    return replace(failure_record(stage, ""), status="done", error=None, cell=None)


def test_a_result_that_was_published_is_no_failure_though_its_worker_died(run: GridRun) -> None:
    assert run.next_stage() == A
    run.store.keep(finished(A))
    run.fail(A, "its process was ended by SIGKILL (out of memory?)")
    assert run.store.find(A.kind, A.id), "the result must stay"
    assert run.outcome.computed == ["a"]
    assert run.next_stage() == B
    run.fail(B, "its process was ended by SIGKILL (out of memory?)")
    assert run.outcome.failed == {"b": "its process was ended by SIGKILL (out of memory?)"}


def test_a_result_of_another_run_is_not_replaced_by_skipped(tmp_path: Path) -> None:
    child = replace(stage("child"), parents={"victim": A.id})
    store = Store(tmp_path / "store")
    queue = StageQueue([A, child], ())
    run = GridRun(store, Claims(store.folder), SilentReporter(), RunOutcome(), queue)
    assert run.next_stage() == A
    store.keep(finished(child))
    run.fail(A, "out of luck")
    assert store.find(child.kind, child.id)


@pytest.mark.parametrize("old", [None, "2000-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_no_clock_says_whose_failure_a_record_is(
    run: GridRun, old: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remission.grid.executor.grid_run._LOOK", 0.0)
    if old:
        run.store.keep(replace(failure_record(A, "of an earlier run"), finished=old))
    for new in (None, "2000-01-01T00:00:00+00:00"):
        other = Claims(run.store.folder)
        assert other.take(A.id, A.kind, A.label)
        assert run.next_stage(fits=lambda stage: stage == A) is None
        if new:
            run.store.keep(replace(failure_record(A, "of the other run"), finished=new))
        other.release_all()
        found = run.next_stage(fits=lambda stage: stage == A)
        assert (found == A) is (new is None), "an old failure is tried again, a new one is not"
        if found:
            run.put_back(found)
    assert run.outcome.failed == {"a": "of the other run"}
