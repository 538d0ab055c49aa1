"""The seeded split into victim, defender, attacker, validation and test: disjoint, stratified."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from remission.data.copies import fill
from remission.errors import DataError
from remission.seeding import Seed
from remission.types import Dataset, Split


class SplitSizes(TypedDict, total=False):
    """The sizes of the sets of a split; every key may be left out.

    Keys:
        defender: clean images that every purifier gets: a fraction of the training set in (0, 1),
            or a number of images; without the key 0.05.
        attacker: images that the retuning attack draws from: a fraction or a number; 0.02.
        victim: number of images to train the victim on; None, as without the key: all that are
            left.
        validation: number of training images on which models are compared before a choice; 0, as
            without the key: none.
        test: number of test images; None, as without the key: all. They keep the published order.
    """

    defender: float | int
    attacker: float | int
    victim: int | None
    validation: int
    test: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitIndices:
    """Which images belong to which set of a split.

    Args:
        victim: indices of training images, as of ``defender``, ``attacker`` and ``validation``.
        defender: see :class:`remission.types.Split`.
        attacker: see there.
        validation: see there; empty where there are none.
        test: indices of test images, or the slice of all of them.
    """

    victim: Tensor
    defender: Tensor
    attacker: Tensor
    validation: Tensor
    test: Tensor | slice


def split_indices(dataset: Dataset, seed: Seed, **sizes: Unpack[SplitSizes]) -> SplitIndices:
    """Returns the sets of :func:`split_dataset` as indices: reads labels alone, copies no image.

    Raises:
        DataError: a size is out of range, or there are not as many images.
    """
    labels = dataset.train.labels
    total = len(labels)
    if total < 3:
        raise DataError(
            f"'{dataset.name}' has {total} training images, too few for victim, defender and "
            "attacker",
            "add images",
        )
    defender, attacker = sizes.get("defender", 0.05), sizes.get("attacker", 0.02)
    first = [_size("defender", defender, total), _size("attacker", attacker, total)]
    left = total - sum(first)
    if left < 1:
        raise DataError(
            f"defender={defender} and attacker={attacker} take {sum(first)} of the {total} "
            f"training images of '{dataset.name}' and leave none for the victim",
            f"ask for fewer: at least one each, together at most {total - 1}",
        )
    validation = sizes.get("validation", 0)
    if validation:
        _count("validation", validation, left - 1, "training images left beside one for the victim")
    victim, left = sizes.get("victim"), left - validation
    wanted = left if victim is None else _count("victim", victim, left, "training images left")
    drawn = seed.child("split", "train")
    if dataset.copies is None:
        parts = _divide(labels, [*first, wanted, validation], drawn)
    else:
        parts = _divide_groups(labels, dataset.copies, first, victim, validation, drawn)
    test = sizes.get("test")
    return SplitIndices(
        defender=parts[0],
        attacker=parts[1],
        victim=parts[2],
        validation=parts[3],
        test=slice(None) if test is None else _test_subset(dataset, test, seed),
    )


def split_dataset(dataset: Dataset, seed: Seed, **sizes: Unpack[SplitSizes]) -> Split:
    """Makes the split that all measurements with ``seed`` share.

    The training images are divided into the defender's, the attacker's, the victim's and those of
    the validation: disjoint, each in an order shuffled by ``seed``, each with the class proportions
    of the whole to within one image per class (with very unequal classes two, for the last sets).
    Who belongs to the defender and the attacker depends on ``seed``, ``defender`` and ``attacker``
    alone, and a victim of a number of images does not depend on ``validation``.

    Where the data set says that training images are copies of each other (``Dataset.copies``), they
    are disjoint by content too: equal images go to one set. Where the size of a set cuts through a
    group of copies, the surplus belongs to no set; a set has fewer images than asked for only where
    a class has too few different ones, of which the victim keeps at least one.

    Args:
        dataset: images uint8 (N, C, H, W).
        seed: the same seed gives the same split on every computer.
        **sizes: see :class:`SplitSizes`.

    Raises:
        DataError: a size is out of range, or there are not as many images.
    """
    indices = split_indices(dataset, seed, **sizes)
    return Split(
        defender=dataset.train[indices.defender],
        attacker=dataset.train[indices.attacker],
        victim=dataset.train[indices.victim],
        validation=dataset.train[indices.validation] if len(indices.validation) else None,
        test=dataset.test[indices.test],
    )


def holdout(labels: Tensor, fraction: float, seed: Seed) -> tuple[Tensor, Tensor]:
    """Holds out a stratified share of labels (N,); returns indices of the rest and of the share.

    Both are in ascending order.
    """
    count = round(fraction * len(labels))
    part, rest = _divide(labels, [count, len(labels) - count], seed)
    return rest.sort().values, part.sort().values


def _test_subset(dataset: Dataset, test: int, seed: Seed) -> Tensor:
    count = _count("test", test, len(dataset.test), "test images")
    (chosen,) = _divide(dataset.test.labels, [count], seed.child("split", "test"))
    return chosen.sort().values


def _size(name: str, value: float | int, total: int) -> int:
    if isinstance(value, int):
        return _count(name, value, total, "training images", others=2)
    if not 0 < value < 1:
        raise DataError(
            f"{name}={value} is not a fraction",
            "give a fraction between 0 and 1, or a whole number",
        )
    if (count := round(value * total)) < 1:
        raise DataError(
            f"{name}={value} of {total} training images is less than one image",
            f"give a larger fraction, or a number of images from 1 to {total - 2}",
        )
    return count


def _count(name: str, value: object, available: int, what: str, others: int = 0) -> int:
    """``value``, if there are as many images beside one for each of ``others`` sets."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name}={value!r} is not a number of images", "give a whole number")
    if not 1 <= value <= available - others:
        raise DataError(
            f"{name}={value}, but there are {available} {what}",
            f"give a number from 1 to {available - others}",
        )
    return value


def _divide(labels: Tensor, sizes: Sequence[int], seed: Seed) -> list[Tensor]:
    """Draws disjoint, stratified, shuffled index sets of these sizes from labels (N,)."""
    counts = [count for count in labels.bincount().tolist() if count]
    ends = torch.tensor(counts).cumsum(0)[:-1]
    members = labels.argsort(stable=True).tensor_split(ends)  # the indices of each class
    # The first class must not always get the odd image, so ties are broken at random.
    table = _allocate(counts, sizes, _order(len(counts), seed.child("ties")).tolist())
    pieces: list[list[Tensor]] = [[] for _ in sizes]
    for c, indices in enumerate(members):
        shuffled = indices[_order(len(indices), seed.child("class", c))]
        start = 0
        for piece, row in zip(pieces, table, strict=True):
            piece.append(shuffled[start : start + row[c]])
            start += row[c]
    wholes = [torch.cat(piece) for piece in pieces]
    return [whole[_order(len(whole), seed.child("set", i))] for i, whole in enumerate(wholes)]


def _divide_groups(
    labels: Tensor,
    groups: Tensor,
    sizes: Sequence[int],
    victim: int | None,
    validation: int,
    seed: Seed,
) -> list[Tensor]:
    """Divides as :func:`_divide` does, but no group has images in two sets.

    Args:
        labels: (N,).
        groups: (N,), equal for images that belong together.
        sizes: of the first sets, in whole groups and the part of one that is needed to fill a set.
        victim: size of the next set; None: what is left beside the validation.
        validation: size of the last set.
        seed: decides.
    """
    classes = labels.tolist()
    members = defaultdict[int, list[int]](list)
    for i, group in enumerate(groups.tolist()):
        members[group].append(i)
    units = list(members.values())
    waiting = [units[i] for i in _order(len(units), seed.child("copies")).tolist()]
    names = sorted(set(classes))
    ties = _order(len(names), seed.child("ties")).tolist()
    counts = Counter(classes)
    parts = []
    for row in _allocate([counts[name] for name in names], sizes, ties):
        quota = dict(zip(names, row, strict=True))
        part, waiting = fill(waiting, classes, quota, all_of=False)
        parts.append(part)
    left = Counter(classes[i] for unit in waiting for i in unit)
    wanted = left.total() - validation if victim is None else victim
    if not 1 <= wanted <= left.total() - validation:
        raise DataError(
            f"beside the defender's and the attacker's images and copies of them, {left.total()} "
            f"training images are left, and the victim needs {max(wanted, 1)}"
            + (f", the validation {validation}" if validation else ""),
            "ask for fewer in all",
        )
    row, last = _allocate([left[name] for name in names], [wanted, validation], ties)
    part, waiting = fill(waiting, classes, dict(zip(names, row, strict=True)), all_of=True)
    parts.append(part)
    if not all(parts):
        raise DataError(
            "the training images are copies of so few pictures that the defender or the attacker "
            "has none of its own",
            "add different images",
        )
    parts.append(fill(waiting, classes, dict(zip(names, last, strict=True)), all_of=True)[0])
    wholes = [torch.tensor(part, dtype=torch.int64) for part in parts]
    return [whole[_order(len(whole), seed.child("set", i))] for i, whole in enumerate(wholes)]


def _order(count: int, seed: Seed) -> Tensor:
    return torch.randperm(count, generator=seed.generator())


def _allocate(counts: Sequence[int], sizes: Sequence[int], order: Sequence[int]) -> list[list[int]]:
    """Computes how many images of each class (columns) each set (rows) gets: its share, rounded.

    Largest remainders, set after set, in whole numbers, so that every computer agrees. A row
    depends on the rows before it, never on those after it. What is left must stay close to its
    own share as well, or the rounding of all sets would add up in the last one: so a class that
    was rounded down before is the first to be rounded up.
    """
    total = sum(counts)
    left = list(counts)
    rows = []
    for size in sizes:
        row = [min(size * count // total, free) for count, free in zip(counts, left, strict=True)]
        rest = sum(left) - size
        # By how much rounding down leaves the set below its share, and the rest above it;
        # in units of 1 / total.
        lack = [
            (size * count - have * total) + ((free - have) * total - rest * count)
            for count, have, free in zip(counts, row, left, strict=True)
        ]
        ranked = sorted(order, key=lambda c: -lack[c])
        missing = size - sum(row)
        while missing:
            for c in ranked:
                if missing and row[c] < left[c]:
                    row[c] += 1
                    missing -= 1
        left = [free - taken for free, taken in zip(left, row, strict=True)]
        rows.append(row)
    return rows
