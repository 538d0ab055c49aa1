"""Tiny ImageNet (Stanford CS231n): 200 classes of ImageNet, 64x64 pixels.

Classes are numbered in the sorted order of their WordNet identifiers, as by everybody who reads the
data set as an image folder. Grey images become colour images. The published validation images serve
as test images, since those published as test images have no labels.
"""

from __future__ import annotations

import re

import torch

from remission.data.archive import Members
from remission.data.decode import decode_published
from remission.data.read_images import in_threads
from remission.data.source import Source
from remission.errors import DataError
from remission.mapped_tensors import allocate
from remission.types import LabelledImages

_TEXT, _IMAGE = 8_000_000, 1_000_000  # bytes, at most
_ROOT = "tiny-imagenet-200"


def read_tiny_imagenet(
    members: list[Members], source: Source
) -> tuple[LabelledImages, LabelledImages, tuple[str, ...]]:
    """Reads the training images, the validation images, and the first name of each class.

    Args:
        members: the members of the only archive.
        source: its counts say how many images and classes there must be.

    Raises:
        DataError: the archive holds anything else.
    """
    (archive,) = members
    kinds = sorted(_lines(archive, f"{_ROOT}/wnids.txt"))
    if len(set(kinds)) != source.classes or not all(re.fullmatch(r"n\d{8}", k) for k in kinds):
        raise archive.bad(f"has a wnids.txt that does not name {source.classes} classes")
    index = {kind: label for label, kind in enumerate(kinds)}
    per_class = source.train // source.classes
    train = [
        (f"{_ROOT}/train/{kind}/images/{kind}_{i}.JPEG", label)
        for kind, label in index.items()
        for i in range(per_class)
    ]
    test = []
    for line in _lines(archive, f"{_ROOT}/val/val_annotations.txt"):
        file, kind = [*line.split("\t"), ""][:2]
        if not re.fullmatch(r"val_\d{1,5}\.JPEG", file) or kind not in index:
            raise archive.bad(f"has a val_annotations.txt with the line {line[:60]!r}")
        test.append((f"{_ROOT}/val/images/{file}", index[kind]))
    if len({name for name, _ in test}) != len(test) or len(test) != source.test:
        raise archive.bad(f"has a val_annotations.txt of other than {source.test} images")
    return (
        _read(archive, train, source),
        _read(archive, test, source),
        _names(archive, kinds),
    )


def _lines(archive: Members, name: str) -> list[str]:
    return archive.read(name, _TEXT).decode("utf-8", "replace").splitlines()


def _names(archive: Members, kinds: list[str]) -> tuple[str, ...]:
    """Returns the first name of each class: "goldfish" of "goldfish, Carassius auratus"."""
    words = dict(
        line.split("\t", 1) for line in _lines(archive, f"{_ROOT}/words.txt") if "\t" in line
    )
    return tuple(words.get(kind, kind).split(",")[0].strip() for kind in kinds)


def _read(archive: Members, wanted: list[tuple[str, int]], source: Source) -> LabelledImages:
    images = allocate((len(wanted), *source.shape))
    array, size = images.numpy(), source.shape[1:]

    def fill(i: int) -> None:
        name = wanted[i][0]
        try:
            array[i] = decode_published(
                archive.read(name, _IMAGE), size=size, kind="JPEG", largest=max(size)
            )
        except DataError:
            raise
        except ValueError as error:
            raise archive.bad(f"has a {name} that {error}") from None

    in_threads(fill, len(wanted), f"reading {source.name}")
    return LabelledImages(images, torch.tensor([label for _, label in wanted]))
