"""Stages that share a task of a cluster are short, of one victim, and none needs a device alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remission.grid.executor.bundles import Bundles
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.reporter import RunOutcome, SilentReporter
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import failure_record
from remission.records import Store
from remission.records.claims import Claims, claims_in
from tests.unit.grid.executor.test_grid_run import CONTEXT


def stage(victim: str, purifier: str, number: int = 0) -> Stage:
    settings = {"purifier": {"method": purifier}, "n": number}
    parents = {"victim": victim}
    return Stage(
        kind="purified", label=f"{victim}/{purifier}{number}", settings=settings, parents=parents
    )


A = [stage("a", "quick", number) for number in range(4)]
LONG = stage("a", "long")
B = [stage("b", "quick", number) for number in range(3)]


def bundles(folder: Path, plan: list[Stage]) -> Bundles:
    store, victims = Store(folder / "store"), ("a", "b")
    run = GridRun(
        store, Claims(store.folder), SilentReporter(), RunOutcome(), StageQueue(plan, victims)
    )
    found = Bundles(run)
    found.note(A[0], 2.0)
    found.note(LONG, 600.0)
    return found


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ([*A, *B], [A, B]),
        ([*A[:2], LONG, *A[2:]], [A[:2], [LONG], A[2:]]),
        ([A[0], B[0], A[1]], [[A[0]], [B[0]], [A[1]]]),
        ([stage("a", "unknown"), *A], [[stage("a", "unknown")], A]),
    ],
    ids=["another victim", "a long one", "in turn", "nobody knows how long"],
)
def test_a_bundle_ends_before_what_does_not_belong_to_it(
    tmp_path: Path, plan: list[Stage], wanted: list[list[Stage]]
) -> None:
    found = bundles(tmp_path, plan)
    for bundle in wanted:
        assert found.next_bundle(tasks=1) == bundle
        assert {claim.stage for claim in claims_in(found.run.store.folder)} == {
            one.id for earlier in wanted[: wanted.index(bundle) + 1] for one in earlier
        }, "what was not handed out must not be claimed"
    assert found.next_bundle(tasks=1) == []


def test_there_is_a_task_for_every_worker(tmp_path: Path) -> None:
    found = bundles(tmp_path, [*A, *B])
    assert found.next_bundle(tasks=3) == A[:2], "seven stages for three tasks"


def test_a_stage_that_needs_a_device_for_itself_shares_no_task(tmp_path: Path) -> None:
    found = bundles(tmp_path, A)
    found.run.alone |= {A[1].id, A[2].id}
    assert [found.next_bundle(tasks=1) for _ in range(4)] == [[one] for one in A]


def test_stages_of_a_lost_bundle_are_tried_each_by_itself(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    from remission.grid.executor.on_ray import _Driver

    plan = [
        replace(one, kind="control", settings={**one.settings, "context": CONTEXT}) for one in A
    ]
    found = bundles(tmp_path, plan)
    found.note(plan[0], 2.0)
    run, lost = found.run, ray.exceptions.WorkerCrashedError()
    driver = _Driver.__new__(_Driver)  # without a cluster
    driver.run, driver.bundles = run, found
    bundle = found.next_bundle(tasks=1)
    assert bundle == plan
    failure = failure_record(plan[0], "")
    run.store.keep(replace(failure, status="done", error=None, cell=None))
    driver._give_up(bundle, lost)
    assert run.outcome.computed == [plan[0].label], "it was finished before the worker was lost"
    assert run.outcome.failed == {}
    for one in plan[1:]:
        assert found.next_bundle(tasks=1) == [one]
    driver._give_up([plan[1]], lost)
    assert list(run.outcome.failed) == [plan[1].label]
