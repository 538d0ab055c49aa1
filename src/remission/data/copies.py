"""Images with equal pixels: they must not stand on two sides of a split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

HELD_OUT = 5
"""One image in so many becomes a test image, where a folder has no split of its own."""


def groups_of(digests: Sequence[bytes]) -> list[int]:
    """Numbers the images, so that two have the same number if their digests are equal."""
    numbers: dict[bytes, int] = {}
    return [numbers.setdefault(digest, len(numbers)) for digest in digests]


def as_tensor(groups: Sequence[int]) -> Tensor | None:
    """Returns the groups as int64 (N,), or None where no image is a copy of another."""
    return torch.tensor(groups) if len(set(groups)) < len(groups) else None


def hold_out(
    labels: Sequence[int], ranks: Sequence[bytes], groups: Sequence[int]
) -> list[bool] | int:
    """Chooses a fifth of each class, at least one image, and never parts a group.

    Images come in the order of their ranks, a group where its first image comes. A group that is
    larger than what a class still lacks is left out, unless the class would have no test image.

    Args:
        labels: (N) class of each image; a class has two images at least.
        ranks: (N) of each image; they decide, so that nothing depends on an order of files.
        groups: (N) of each image, see :func:`groups_of`.

    Returns:
        Whether each image is held out; or a class that would have no training image or no test
        image, whatever is held out.
    """
    sizes = Counter(labels)
    lack = {label: max(1, round(count / HELD_OUT)) for label, count in sizes.items()}
    members = defaultdict[int, list[int]](list)
    for i in sorted(range(len(labels)), key=lambda i: ranks[i]):
        members[groups[i]].append(i)
    taken, held = Counter[int](), set[int]()

    def take(group: int, room: dict[int, int]) -> bool:
        needs = Counter(labels[i] for i in members[group])
        if any(taken[label] + count > room[label] for label, count in needs.items()):
            return False
        taken.update(needs)
        held.update(members[group])
        return True

    for group in members:
        take(group, lack)
    most = {label: count - 1 for label, count in sizes.items()}  # one is left for training
    for label in sizes:
        of_class = (g for g in members if any(labels[i] == label for i in members[g]))
        if not taken[label] and not any(take(group, most) for group in of_class):
            return label
    return [i in held for i in range(len(labels))]


def parted(groups: Sequence[int], sides: Sequence[bool]) -> bool:
    """Whether images of one group stand on both sides."""
    return bool(
        {group for group, side in zip(groups, sides, strict=True) if side}
        & {group for group, side in zip(groups, sides, strict=True) if not side}
    )


def fill(
    units: Sequence[list[int]], classes: Sequence[int], quota: dict[int, int], *, all_of: bool
) -> tuple[list[int], list[list[int]]]:
    """Fills a set with images of each class; returns them and the units of which it took none.

    Whole units come first, in their order. What is still missing comes from parts of units, of the
    smallest first; the rest of such a unit is in neither answer.

    Args:
        units: indices of images that stay together.
        classes: of all images.
        quota: how many images of each class the set needs; it is counted down, and need not come to
            0.
        all_of: whether a class's last unit may be parted too.
    """
    part, later, left = list[int](), list[list[int]](), Counter[int]()
    for unit in units:
        needs = Counter(classes[i] for i in unit)
        if all(quota[name] >= count for name, count in needs.items()):
            part += unit
            for name, count in needs.items():
                quota[name] -= count
        else:
            later.append(unit)
            left.update(needs.keys())
    touched = set[int]()
    for at in sorted(range(len(later)), key=lambda at: len(later[at])):
        names = {classes[i] for i in later[at]}
        if not any(quota[name] for name in names):
            continue
        if all_of or all(left[name] > 1 for name in names):
            touched.add(at)
            left.subtract(names)
            for i in later[at]:
                if quota[classes[i]]:
                    part.append(i)
                    quota[classes[i]] -= 1
    return part, [unit for at, unit in enumerate(later) if at not in touched]
