"""Rehearsed loops are timed and cut short, and count as if they had run to their end."""

from __future__ import annotations

import pytest
import torch

from remission.progress import advance, cutting, enough, listening, tracked
from remission.rehearsal import Rehearsal
from remission.training.batches import batches
from remission.types import LabelledImages
from tests.unit.clock import Clock


def test_a_loop_is_cut_short_and_counted_in_full(clock: Clock) -> None:
    def work(items: int, each: float) -> int:
        met = 0
        for _ in tracked(range(items), "work", items):
            clock.now += 0.9 if met == 0 else each  # the first is not like the others
            met += 1
        return met

    rehearsal = Rehearsal({}, patience=1)
    with cutting(rehearsal):
        assert work(1000, 0.5) == 4
        assert rehearsal.seconds == pytest.approx(0.9 + 999 * 0.5)
        assert rehearsal.step_seconds == {"work": pytest.approx(0.5)}
        assert work(600, 7) == 0, "timed before"
        assert rehearsal.seconds == pytest.approx(0.9 + 999 * 0.5 + 600 * 0.5)
    assert work(20, 0.5) == 20, "and outside of a rehearsal it is a loop like any other"


def test_a_loop_within_a_loop(clock: Clock) -> None:
    def inner() -> None:
        for _ in tracked(range(50), "", 50):
            clock.now += 2

    rehearsal = Rehearsal({})
    with cutting(rehearsal):
        for _ in tracked(range(30), "outer", 30):
            inner()
            clock.now += 1
    assert clock.now < 30
    assert rehearsal.seconds == pytest.approx(30 * (50 * 2 + 1))


def test_a_single_step_that_takes_long_is_enough(clock: Clock) -> None:
    with cutting(rehearsal := Rehearsal({}, patience=3)):
        for met in tracked(range(100), "slow", 100):
            assert met == 0
            clock.now += 4
    assert rehearsal.seconds == pytest.approx(400)


def test_a_part_of_each_batch_counts_for_all_of_it(clock: Clock) -> None:
    data = LabelledImages(torch.zeros(1000, 1, 4, 4), torch.zeros(1000, dtype=torch.int64))
    met: list[int] = []

    def work() -> None:
        clock.now += 6  # prepared once
        for images, _ in tracked(batches(data, 100, generator=None), "work", 10):
            met.append(len(images))
            clock.now += 0.01 * len(images)
        for _ in tracked(range(5), "no batches", 5):
            clock.now += 1

    with cutting(rehearsal := Rehearsal({}, images=20)):
        work()
    assert set(met) == {20}
    assert rehearsal.seconds == pytest.approx(6 + 10 * 1 + 5)
    assert rehearsal.step_seconds == {"work": pytest.approx(1), "no batches": pytest.approx(1)}


def test_a_loop_over_parts_of_batches_around_another_loop(clock: Clock) -> None:
    data = LabelledImages(torch.zeros(40, 1, 4, 4), torch.zeros(40, dtype=torch.int64))
    with cutting(rehearsal := Rehearsal({}, images=2)):
        for images, _ in tracked(batches(data, 8, generator=None), "outer", 5):
            for _ in tracked(range(3), "", 3):
                clock.now += len(images)
    assert rehearsal.seconds == pytest.approx(5 * 3 * 8)


def test_a_rehearsal_says_nothing_and_ends_with_its_context(clock: Clock) -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *step: heard.append(step)):
        with pytest.raises(RuntimeError), cutting(Rehearsal({}, images=3)):
            assert enough(10) == 3
            for _ in tracked(range(100), "work", 100):
                clock.now += 1
            raise RuntimeError
        assert heard == []
        assert enough(10) == 10
        assert list(tracked("abc", "letters", 3)) == ["a", "b", "c"]
        advance("more", 1, 2)
    assert heard == [("letters", 1, 3), ("letters", 2, 3), ("letters", 3, 3), ("more", 1, 2)]
    advance("nobody hears it", 1, 1)
    assert len(heard) == 4
