"""What a family of architectures reads from the names and shapes of tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from remission.models import Classifier

Theirs = Callable[[str], tuple[str, ...]]
"""The name of a tensor of ours -> the names in the source whose rows it joins; mostly one."""
Size = tuple[int, int]
"""(H, W) of images, in pixels."""
_DIGITS = 6
"""Longer numbers in names are no indices of layers."""


class LacksError(Exception):
    """A tensor is missing without which the architecture cannot be read."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Shapes(Mapping[str, torch.Size]):
    """The shapes of the tensors of a network, by name.

    Args:
        shapes: name -> shape.
    """

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        self._shapes = dict(shapes)

    def __getitem__(self, key: str) -> torch.Size:
        """Returns a shape.

        Raises:
            LacksError: there is no tensor of this name.
        """
        try:
            return self._shapes[key]
        except KeyError:
            raise LacksError(key) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, key: object) -> bool:
        return key in self._shapes

    def dims(self, key: str, count: int) -> tuple[int, ...]:
        """Returns the shape of a tensor that must have ``count`` dimensions.

        Raises:
            LacksError: there is no such tensor.
        """
        shape = self[key]
        if len(shape) != count or 0 in shape:
            raise LacksError(key)
        return tuple(shape)

    def numbers(self, pattern: str) -> list[int]:
        """Returns the different numbers that group 1 of ``pattern`` takes in names, in order."""
        matches = (re.match(pattern, key) for key in self._shapes)
        return sorted({int(match[1]) for match in matches if match and len(match[1]) <= _DIGITS})

    def count(self, pattern: str) -> int:
        """Returns one more than the largest number that group 1 of ``pattern`` takes in names.

        Raises:
            LacksError: there are fewer tensors than that, so that one of them is missing.
        """
        count = max(self.numbers(pattern), default=-1) + 1
        if count > len(self):
            raise LacksError(pattern.replace(r"(\d+)", str(len(self))).replace("\\", "") + "*")
        return count

    def some(self, pattern: str) -> bool:
        """Says whether a name begins with ``pattern``."""
        return any(re.match(pattern, key) for key in self._shapes)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """An architecture, as the shapes of tensors say it.

    Args:
        arch: its name.
        classes: number of classes K.
        channels: number of channels C of the images.
        width: number of channels of the first stage.
        size: (H, W) of the images, where the tensors say it.
        example: (H, W) of images that such a network takes.
        make: from the arguments of :class:`Classifier` to a classifier.
        theirs: see :data:`Theirs`.
        evidence: what was seen, in sentences.
        constants: a pattern of names in the source whose values are computed and not trained.
    """

    arch: str
    classes: int
    channels: int
    width: int
    size: Size | None = None
    example: Size = (64, 64)
    make: Callable[..., Classifier]
    theirs: Theirs
    evidence: tuple[str, ...]
    constants: str = r"(?!)"


@dataclass(frozen=True)
class ArchFamily:
    """Architectures whose tensors have the same names.

    Args:
        layout: whose names they are, for example ``torchvision``.
        read: the shapes -> the readings that they allow, the likeliest first; none if the names
            are of another family. It raises :class:`LacksError` where a tensor is missing.
    """

    layout: str
    read: Callable[[Shapes], list[Reading]]


def renamed(*rules: tuple[str, str]) -> Theirs:
    """Returns a function that applies all ``rules`` in order: (pattern, what replaces it)."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def theirs(key: str) -> tuple[str, ...]:
        for pattern, replacement in compiled:
            key = pattern.sub(replacement, key)
        return (key,)

    return theirs


def with_width(name: str, width: int, published: int) -> str:
    """Returns ``resnet18:16``, or ``resnet18`` where the width is the published one."""
    return name if width == published else f"{name}:{width}"
