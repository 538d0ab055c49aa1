"""Copies of an image are never on two sides of a split."""

from __future__ import annotations

import hashlib
from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remission.data.copies import as_tensor, fill, groups_of, hold_out, parted


def ranks(count: int) -> list[bytes]:
    return [hashlib.sha256(str(i).encode()).digest() for i in range(count)]


def test_groups() -> None:
    assert groups_of([b"x", b"y", b"x", b"z"]) == [0, 1, 0, 2]
    assert as_tensor([0, 1, 2]) is None
    assert torch.equal(as_tensor([0, 1, 0]), torch.tensor([0, 1, 0]))  # type: ignore[arg-type]
    assert parted([0, 1, 0], [True, False, False])
    assert not parted([0, 1, 0], [True, False, True])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=80))
@settings(deadline=None)
def test_without_copies_a_fifth_of_each_class_by_rank(labels: list[int]) -> None:
    counts = Counter(labels)
    labels = [label for label in labels if counts[label] > 1]
    order = ranks(len(labels))
    held = hold_out(labels, order, range(len(labels)))
    assert not isinstance(held, int)
    for label in set(labels):
        members = sorted(
            (i for i in range(len(labels)) if labels[i] == label), key=order.__getitem__
        )
        first = max(1, round(len(members) / 5))
        assert [held[i] for i in members] == [n < first for n in range(len(members))]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=2, max_size=80))
@settings(deadline=None)
def test_groups_are_never_parted(images: list[tuple[int, int]]) -> None:
    counts = Counter(label for label, _ in images)
    images = [image for image in images if counts[image[0]] > 1]
    labels, groups = [label for label, _ in images], [group for _, group in images]
    held = hold_out(labels, ranks(len(images)), groups)
    if isinstance(held, int):
        assert held in labels
        return
    assert not parted(groups, held)
    for label in set(labels):
        sides = [held[i] for i in range(len(labels)) if labels[i] == label]
        assert set(sides) == {True, False}


def test_a_class_that_cannot_be_divided() -> None:
    labels, order = [0, 0, 0, 1, 1, 1], ranks(6)
    assert hold_out(labels, order, [0, 0, 0, 1, 2, 3]) == 0
    assert hold_out(labels, order, [0, 1, 2, 3, 3, 3]) == 1


def test_three_of_each_picture() -> None:
    labels = [0] * 30 + [1] * 30
    groups = [i // 3 for i in range(60)]
    held = hold_out(labels, ranks(60), groups)
    assert not isinstance(held, int)
    assert not parted(groups, held)
    assert Counter(zip(labels, held, strict=True)) == {
        (label, side): 6 if side else 24 for label in (0, 1) for side in (False, True)
    }


def test_a_set_is_filled_with_whole_units_first() -> None:
    units, classes = [[0, 1, 2], [3], [4, 5, 6, 7], [8]], [0] * 9
    assert fill(units, classes, {0: 5}, all_of=False) == ([0, 1, 2, 3, 8], [[4, 5, 6, 7]])
    assert fill(units, classes, {0: 2}, all_of=False) == ([3, 8], [[0, 1, 2], [4, 5, 6, 7]])
    units = [[0, 1, 2], [4, 5, 6, 7]]
    assert fill(units, classes, {0: 2}, all_of=False) == ([0, 1], [[4, 5, 6, 7]])
    assert fill(units[1:], classes, {0: 2}, all_of=False) == ([], [[4, 5, 6, 7]])
    assert fill(units[1:], classes, {0: 2}, all_of=True) == ([4, 5], [])
