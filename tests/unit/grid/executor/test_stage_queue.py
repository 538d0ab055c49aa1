"""Stages come in the order of the plan, each once, as soon as what they build upon is there."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.stage import Stage


def stage(name: str, *parents: Stage) -> Stage:
    return Stage(
        kind="victim",
        label=name,
        settings={"name": name},
        parents={f"parent {number}": parent.id for number, parent in enumerate(parents)},
    )


A = stage("a")
B, C = stage("b", A), stage("c", A)
D, E = stage("d", B, C), stage("e")
PLAN = [A, B, C, D, E]


def taken(queue: StageQueue) -> list[str]:
    """Takes all that is ready."""
    found = []
    while one := queue.next_stage():
        found.append(one.label)
    return found


def test_a_stage_is_ready_when_its_parents_are_finished() -> None:
    queue = StageQueue(PLAN, ())
    assert taken(queue) == ["a", "e"]
    queue.finish(A)
    assert taken(queue) == ["b", "c"]
    queue.finish(C)
    assert taken(queue) == []
    queue.finish(B)
    queue.finish(B)
    assert taken(queue) == ["d"]
    assert len(queue) == 2
    queue.finish(D)
    queue.finish(E)
    assert len(queue) == 0


def test_what_is_given_back_comes_before_what_is_later_in_the_plan() -> None:
    queue = StageQueue(PLAN, [A.id])
    assert queue.next_stage() == B
    assert queue.next_stage() == C
    queue.make_ready(B)
    assert taken(queue) == ["b", "e"]


def test_where_many_compute_the_longest_chain_comes_first() -> None:
    plan = [E, stage("f"), stage("g", E), A, B, C, D]
    queue = StageQueue(plan, (), longest_chain_first=True)
    assert taken(queue) == ["a", "e", "f"]
    queue.finish(E)
    queue.finish(A)
    assert taken(queue) == ["b", "c", "g"]


def test_what_builds_upon_a_stage_that_failed_is_skipped() -> None:
    queue = StageQueue(PLAN, [A.id])
    assert [one.label for one in queue.fail(C)] == ["d"]
    assert taken(queue) == ["b", "e"]
    assert list(queue.fail(B)) == []
    assert len(queue) == 1


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_every_stage_of_any_plan_comes_once_after_its_parents(seed: int, count: int) -> None:
    draws = random.Random(seed)
    plan = list[Stage]()
    for number in range(count):
        parents = draws.sample(plan, min(len(plan), draws.randrange(4)))
        plan.append(stage(str(number), *parents))
    stored = {one.id for one in plan if draws.random() < 0.2}
    queue = StageQueue(plan, stored, longest_chain_first=seed % 2 == 1)
    running, order = list[Stage](), list[Stage]()
    while len(queue):
        while len(running) < 3 and (one := queue.next_stage()):
            running.append(one)
        done = running.pop(draws.randrange(len(running)))
        order.append(done)
        queue.finish(done)
    assert sorted(one.id for one in order) == sorted({one.id for one in plan} - stored)
    place = {one.id: number for number, one in enumerate(order)}
    for one in order:
        for parent in one.parents.values():
            assert parent in stored or place[parent] < place[one.id]
