"""CIFAR-10 and CIFAR-100 in their binary versions (Krizhevsky, 2009).

A file is records of one size: a label (CIFAR-100: a coarse and a fine one), a byte each, and 32x32
pixels of red, then of green, then of blue. A text file names the classes, one a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from remission.data.archive import Members
from remission.data.source import Source
from remission.mapped_tensors import allocate
from remission.types import LabelledImages

_NAMES = 100_000  # bytes, at most, of the file of names


@dataclass(frozen=True)
class _Layout:
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: int  # bytes in front of the pixels; the last one is the class


_LAYOUTS = {
    "cifar10": _Layout(
        "cifar-10-batches-bin/",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test_batch.bin",
        "batches.meta.txt",
        1,
    ),
    "cifar100": _Layout("cifar-100-binary/", ("train.bin",), "test.bin", "fine_label_names.txt", 2),
}


def read_cifar(
    members: list[Members], source: Source
) -> tuple[LabelledImages, LabelledImages, tuple[str, ...]]:
    """Training images, test images and the names of the classes.

    Args:
        members: of the one archive.
        source: its format says which of the two data sets, its counts how much there must be.

    Raises:
        DataError: the archive holds anything else.
    """
    (archive,) = members
    layout = _LAYOUTS[source.format]
    text = archive.read(layout.folder + layout.names, _NAMES).decode("utf-8", "replace")
    classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(classes) != source.classes:
        raise archive.bad(f"names {len(classes)} classes instead of {source.classes}")
    return (
        _read(archive, layout, layout.train, source.train, source),
        _read(archive, layout, (layout.test,), source.test, source),
        classes,
    )


def _read(
    archive: Members, layout: _Layout, names: tuple[str, ...], count: int, source: Source
) -> LabelledImages:
    each = count // len(names)
    record = layout.labels + int(np.prod(source.shape))
    images, labels = allocate((count, *source.shape)), torch.empty(count, dtype=torch.int64)
    for i, name in enumerate(names):
        content = archive.read(layout.folder + name, each * record)
        if len(content) != each * record:
            raise archive.bad(f"has a {name} of {len(content)} bytes instead of {each * record}")
        rows = np.frombuffer(content, np.uint8).reshape(each, record)
        part = slice(i * each, (i + 1) * each)
        labels[part] = torch.from_numpy(rows[:, layout.labels - 1].astype(np.int64))
        images[part].numpy()[:] = rows[:, layout.labels :].reshape(each, *source.shape)
    if int(labels.max()) >= source.classes:
        raise archive.bad(f"holds the label {int(labels.max())}")
    return LabelledImages(images, labels)
