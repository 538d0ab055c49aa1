"""Each tensor of ours beside the tensors of the source that hold its values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from remission.errors import closest
from remission.recognise.families.reading import Theirs

_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Pair:
    """One tensor of the source, and the place of its values in ours.

    Args:
        key: its name in the source.
        own: the name of our tensor.
        start: where its rows begin there.
    """

    key: str
    own: str
    start: int


@dataclass
class Pairing:
    """All pairs, and whatever does not fit.

    Args:
        pairs: the pairs whose shapes agree.
        constants: names in the source of values that are computed and not trained.
        missing: names that the source lacks.
        unknown: names in the source that we have no place for.
        misshapen: (name in the source, its shape, the shape of ours).
    """

    pairs: list[Pair] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    misshapen: list[tuple[str, torch.Size, torch.Size]] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether each tensor has its place and each place its tensor."""
        return not (self.missing or self.unknown or self.misshapen)

    @property
    def problem(self) -> str:
        """What does not fit, in words."""
        said = []
        if self.missing:
            said.append(f"there is no '{self.missing[0]}'{_more(self.missing)}")
        if self.unknown:
            said.append(f"'{self.unknown[0]}' has no place{_more(self.unknown)}")
        if self.misshapen:
            key, shape, ours = self.misshapen[0]
            said.append(
                f"'{key}' has shape {tuple(shape)} instead of {tuple(ours)}{_more(self.misshapen)}"
            )
        return " and ".join(said)

    @property
    def hint(self) -> str:
        """A name of the source that may be the missing one, in words; or nothing."""
        if not self.missing or not self.unknown:
            return ""
        return closest(self.missing[0], self.unknown).partition(" (")[0]


def _more(others: list[object] | list[str] | list[tuple[str, torch.Size, torch.Size]]) -> str:
    return f" (and {len(others) - 1} more)" if len(others) > 1 else ""


def pairing(
    ours: Mapping[str, torch.Size],
    source: Mapping[str, torch.Size],
    theirs: Theirs,
    constants: str = r"(?!)",
) -> Pairing:
    """Finds for each tensor of ours the tensors of the source, by their names alone.

    The counters of batch normalisation, which change no result, may be missing.

    Args:
        ours: name -> shape of our tensors.
        source: the same of the source.
        theirs: from a name of ours to the names in the source whose rows it joins.
        constants: a pattern of names in the source that need no place.
    """
    result, taken = Pairing(), set[str]()
    for own, shape in ours.items():
        keys = theirs(own)
        taken.update(keys)
        absent = [key for key in keys if key not in source]
        if absent:
            result.missing += [key for key in absent if not key.endswith(_COUNTER)]
            continue
        shapes = [source[key] for key in keys]
        if not _agree(shapes, shape):
            wrong = next((i for i, one in enumerate(shapes) if one[1:] != shape[1:]), 0)
            expected = shape if len(keys) == 1 else torch.Size((shape[0] // len(keys), *shape[1:]))
            result.misshapen.append((keys[wrong], shapes[wrong], expected))
            continue
        result.pairs += list(_pairs(keys, own, shapes))
    left = [key for key in source if key not in taken]
    result.constants = [key for key in left if re.match(constants, key)]
    result.unknown = [key for key in left if not re.match(constants, key)]
    return result


def _pairs(keys: tuple[str, ...], own: str, shapes: list[torch.Size]) -> Iterator[Pair]:
    start = 0
    for key, shape in zip(keys, shapes, strict=True):
        yield Pair(key, own, start)
        start += shape[0] if shape else 0


def _agree(shapes: list[torch.Size], ours: torch.Size) -> bool:
    """Says whether rows of these shapes make ours; sides of 1 at the end do not count."""
    if len(shapes) == 1:
        return _bare(shapes[0]) == _bare(ours)
    rest = {shape[1:] for shape in shapes}
    return rest == {ours[1:]} and sum(shape[0] for shape in shapes) == ours[0]


def _bare(shape: torch.Size) -> tuple[int, ...]:
    sides = list(shape)
    while len(sides) > 1 and sides[-1] == 1:
        sides.pop()
    return tuple(sides)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Returns the shape of each tensor."""
    return {key: value.shape for key, value in tensors.items()}
