"""Splits are disjoint, stratified, and depend on the seed alone."""

from __future__ import annotations

import dataclasses
import hashlib
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remission.data import load_dataset, split_dataset
from remission.data.split import split_indices
from remission.errors import DataError
from remission.seeding import Seed
from remission.types import Dataset, LabelledImages, Split


def dataset(counts: list[int], test: int = 12) -> Dataset:
    """Returns images whose pixels hold their index: first * 256 + second pixel."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    index = torch.arange(len(labels))
    images = torch.stack((index // 256, index % 256), 1).to(torch.uint8).view(-1, 1, 1, 2)
    train = LabelledImages(images, labels)
    held = torch.arange(test)
    return Dataset(
        name="made",
        train=train,
        test=LabelledImages(held.to(torch.uint8).view(-1, 1, 1, 1), held % 2),
        classes=tuple(str(c) for c in range(len(counts))),
        mean=(0.5,),
        std=(0.5,),
    )


def indices(part: LabelledImages) -> list[int]:
    pixels = part.images.long().flatten(1)
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


def error(part: LabelledImages, counts: list[int]) -> float:
    """Returns the largest distance of a class's number of images from its exact share."""
    share = torch.tensor(counts) * len(part) / sum(counts)
    return float((part.labels.bincount(minlength=len(counts)) - share).abs().max())


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], int, int, int, int]:
    counts = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8).filter(lambda c: sum(c) > 2))
    total = sum(counts)
    defender = draw(st.integers(1, total - 2))
    attacker = draw(st.integers(1, total - defender - 1))
    victim = draw(st.integers(1, total - defender - attacker))
    return counts, defender, attacker, victim, draw(st.integers(0, 5))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_the_split(case: tuple[list[int], int, int, int, int]) -> None:
    counts, defender, attacker, victim, number = case
    data = dataset(counts)
    whole = split_dataset(data, Seed(number), defender=defender, attacker=attacker)
    parts = [indices(p) for p in (whole.defender, whole.attacker, whole.victim)]
    assert [len(p) for p in parts[:2]] == [defender, attacker]
    assert sorted(chain(*parts)) == list(range(sum(counts)))  # disjoint, nothing lost
    for part in (whole.defender, whole.attacker, whole.victim):
        assert torch.equal(part.labels, data.train.labels[torch.tensor(indices(part))])
    assert error(whole.defender, counts) <= 1 + 1e-4
    assert error(whole.attacker, counts) <= 1 + 1e-4
    assert error(whole.victim, counts) <= 2

    fewer = split_dataset(data, Seed(number), defender=defender, attacker=attacker, victim=victim)
    assert indices(fewer.defender) == parts[0]
    assert indices(fewer.attacker) == parts[1]
    assert len(fewer.victim) == victim
    assert set(indices(fewer.victim)) <= set(parts[2])
    assert error(fewer.victim, counts) <= 2

    if (left := len(whole.victim) - victim) > 0:
        seen = split_dataset(
            data, Seed(number), defender=defender, attacker=attacker, victim=victim, validation=left
        )
        assert seen.validation is not None
        assert same(seen, fewer) == [True] * 3
        everything = (*parts[:2], indices(fewer.victim), indices(seen.validation))
        assert sorted(chain(*everything)) == list(range(sum(counts)))
        assert error(seen.validation, counts) <= 2


def test_the_validation_is_taken_from_what_the_victim_would_have() -> None:
    whole = split_dataset(dataset([100] * 4), Seed(0))
    split = split_dataset(dataset([100] * 4), Seed(0), validation=40)
    assert whole.validation is None
    assert split.validation is not None
    assert [len(split.victim), len(split.validation)] == [332, 40]
    assert split.validation.labels.bincount().tolist() == [10] * 4
    assert set(indices(split.victim)) | set(indices(split.validation)) == set(indices(whole.victim))
    with pytest.raises(DataError) as caught:
        split_dataset(dataset([100] * 4), Seed(0), validation=372)
    assert str(caught.value) == (
        "validation=372, but there are 371 training images left beside one for the victim; "
        "give a number from 1 to 371"
    )


@given(st.integers(1, 10), st.integers(4, 50), st.data())
@settings(max_examples=60, deadline=None)
def test_equal_classes_stay_equal_to_one_image(
    classes: int, each: int, data: st.DataObject
) -> None:
    counts = [each] * classes
    defender = data.draw(st.integers(1, sum(counts) - 2))
    attacker = data.draw(st.integers(1, sum(counts) - defender - 1))
    split = split_dataset(dataset(counts), Seed(0), defender=defender, attacker=attacker)
    for part in (split.defender, split.attacker, split.victim):
        assert error(part, counts) <= 1


def same(a: Split, b: Split) -> list[bool]:
    pairs = ((a.defender, b.defender), (a.attacker, b.attacker), (a.victim, b.victim))
    return [indices(x) == indices(y) for x, y in pairs]


def test_the_seed_and_nothing_else_decides() -> None:
    data = dataset([50] * 4)
    torch.manual_seed(1)
    first = split_dataset(data, Seed(0))
    torch.manual_seed(2)
    assert same(first, split_dataset(data, Seed(0))) == [True] * 3
    assert same(first, split_dataset(data, Seed(1))) == [False] * 3


def test_defaults_and_fractions() -> None:
    split = split_dataset(dataset([100] * 4), Seed(0))
    assert [len(p) for p in (split.defender, split.attacker, split.victim)] == [20, 8, 372]
    assert split.defender.labels.bincount().tolist() == [5] * 4
    assert split.test.labels.tolist() == [0, 1] * 6
    half = split_dataset(dataset([100] * 4), Seed(0), defender=0.5, attacker=1)
    assert [len(half.defender), len(half.attacker)] == [200, 1]


def test_no_part_is_sorted_by_class() -> None:
    split = split_dataset(dataset([100] * 4), Seed(0))
    for part in (split.defender, split.attacker, split.victim):
        assert part.labels.tolist() != part.labels.sort().values.tolist()


def test_the_odd_image_is_drawn() -> None:
    odd = {
        int(split_dataset(dataset([20] * 4), Seed(n), defender=1, attacker=1).defender.labels)
        for n in range(20)
    }
    assert odd == {0, 1, 2, 3}


def test_a_subset_of_the_test_images() -> None:
    data = dataset([20] * 2)
    split = split_dataset(data, Seed(3), test=6)
    assert split.test.labels.bincount().tolist() == [3, 3]
    order = split.test.images.flatten().tolist()
    assert order == sorted(set(order))
    assert same(split, split_dataset(data, Seed(3))) == [True] * 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"defender": 0.0},
            "defender=0.0 is not a fraction; give a fraction between 0 and 1, or a ",
        ),
        ({"attacker": 1.0}, "attacker=1.0 is not a fraction; give"),
        ({"defender": float("nan")}, "defender=nan is not a fraction; give"),
        (
            {"defender": 0.001},
            "defender=0.001 of 40 training images is less than one image; "
            "give a larger fraction, or a number of images from 1 to 38",
        ),
        (
            {"defender": 0},
            "defender=0, but there are 40 training images; give a number from 1 to 38",
        ),
        (
            {"attacker": 41},
            "attacker=41, but there are 40 training images; give a number from 1 to",
        ),
        ({"defender": True}, "defender=True is not a number of images; give a whole number"),
        (
            {"defender": 30, "attacker": 0.25},
            "defender=30 and attacker=0.25 take 40 of the 40 training images of 'made' and leave "
            "none for the victim; ask for fewer: at least one each, together at most 39",
        ),
        (
            {"defender": 10, "attacker": 10, "victim": 21},
            "victim=21, but there are 20 training images left; give a number from 1 to 20",
        ),
        ({"victim": 2.5}, "victim=2.5 is not a number of images; give a whole number"),
        ({"test": 13}, "test=13, but there are 12 test images; give a number from 1 to 12"),
    ],
)
def test_sizes_that_cannot_be(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError) as caught:
        split_dataset(dataset([20, 20]), Seed(0), **sizes)
    assert str(caught.value).startswith(message)


@st.composite
def copied(draw: st.DrawFn) -> tuple[list[int], list[int], int, int, int]:
    """Returns labels, groups of copies, and sizes; classes have enough pictures for all sets."""
    labels, groups = list[int](), list[int]()
    for label in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(8, 15))):
            size = draw(st.sampled_from([1, 1, 1, 2, 3, 5]))
            number = len(set(groups))
            labels += [label] * size
            groups += [number] * size
    total = len(labels)
    sizes = draw(st.integers(1, total // 8)), draw(st.integers(1, total // 8))
    return labels, groups, *sizes, draw(st.integers(0, 5))


@given(copied())
@settings(max_examples=150, deadline=None)
def test_copies_go_to_one_set(case: tuple[list[int], list[int], int, int, int]) -> None:
    labels, groups, defender, attacker, number = case
    data = dataset([1] * len(labels))
    data = dataclasses.replace(
        data,
        train=LabelledImages(data.train.images, torch.tensor(labels)),
        copies=torch.tensor(groups),
    )
    sets = split_indices(data, Seed(number), defender=defender, attacker=attacker)
    parts = [part.tolist() for part in (sets.defender, sets.attacker, sets.victim)]
    assert [len(part) for part in parts[:2]] == [defender, attacker]
    assert len(set(chain(*parts))) == len(list(chain(*parts)))
    homes = [{groups[i] for i in part} for part in parts]
    assert len(set.union(*homes)) == sum(map(len, homes))
    # Lost are only the other copies of what a set needed to be filled.
    lost = set(range(len(labels))) - set(chain(*parts))
    assert {groups[i] for i in lost} <= homes[0] | homes[1]
    counts = [labels.count(label) for label in range(max(labels) + 1)]
    for part, size in zip(parts, (defender, attacker), strict=False):
        for label, count in enumerate(counts):
            assert abs(sum(labels[i] == label for i in part) - size * count / len(labels)) <= 1

    fewer = split_indices(data, Seed(number), defender=defender, attacker=attacker, victim=3)
    assert torch.equal(fewer.defender, sets.defender)
    assert torch.equal(fewer.attacker, sets.attacker)
    assert len(fewer.victim) == 3
    assert set(fewer.victim.tolist()) <= set(parts[2])

    if len(parts[2]) > 2:
        seen = split_indices(
            data, Seed(number), defender=defender, attacker=attacker, victim=1, validation=1
        )
        (alone,) = seen.validation.tolist()
        others = (seen.defender, seen.attacker, seen.victim)
        assert groups[alone] not in {groups[i] for part in others for i in part.tolist()}


def test_what_copies_leave_for_the_victim() -> None:
    data = dataclasses.replace(dataset([6]), copies=torch.tensor([0, 0, 0, 1, 1, 1]))
    message = (
        "the training images are copies of so few pictures that the defender or the attacker has "
        "none of its own; add different images"
    )
    with pytest.raises(DataError) as caught:
        split_indices(data, Seed(0), defender=1, attacker=1)
    assert str(caught.value) == message
    data = dataclasses.replace(dataset([9]), copies=torch.arange(9) // 3)
    sets = split_indices(data, Seed(0), defender=1, attacker=1)
    assert [len(sets.defender), len(sets.attacker), len(sets.victim)] == [1, 1, 3]
    with pytest.raises(DataError) as caught:
        split_indices(data, Seed(0), defender=1, attacker=1, victim=4)
    assert str(caught.value) == (
        "beside the defender's and the attacker's images and copies of them, 3 training images are "
        "left, and the victim needs 4; ask for fewer in all"
    )


def digest(data: Dataset, number: int, **sizes: int) -> str:
    """Returns a digest of 16 digits of the indices of four sets."""
    sets = split_indices(data, Seed(number).child("split"), **sizes)
    test = torch.arange(len(data.test))[sets.test]
    found = hashlib.sha256()
    for part in (sets.defender, sets.attacker, sets.victim, test):
        found.update(part.numpy().tobytes())
    return found.hexdigest()[:16]


def published(name: str) -> Dataset:
    cache = Path("~/.cache/remission").expanduser() / name
    if name == "fashion-mnist" and not cache.is_dir():
        pytest.skip("the data set is not on this computer")
    return load_dataset(name, fetch=False)


@pytest.mark.parametrize(
    ("name", "whole", "some"),
    [
        ("fashion-mnist", "458143efa453c8ab", "3fcd4f98bc04564d"),
        ("digits", "f80975bfa09ea21a", "37ea0b2349cda28b"),
        ("shapes", "1e0bd29b7e7507b8", "e865b762b799ef4b"),
    ],
)
def test_published_data_sets_are_split_as_in_stored_results(
    name: str, whole: str, some: str
) -> None:
    data = published(name)
    assert data.copies is None
    assert digest(data, 0) == whole
    assert digest(data, 1, victim=500, test=100) == some
