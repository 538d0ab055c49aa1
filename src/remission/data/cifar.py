"""CIFAR-10 and CIFAR-100 in their binary versions (Krizhevsky, 2009).

A file consists of records of one size: a label in one byte (CIFAR-100: a coarse and a fine label in
two), then 32x32 pixels of red, of green, and of blue. A text file names one class per line.
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
    """Reads the training images, the test images and the names of the classes.

    Args:
        members: the members of the only archive.
        source: its format says which of the two data sets it is, its counts how many images and
            classes there must be.

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
    per_file = count // len(names)
    record = layout.labels + int(np.prod(source.shape))
    images, labels = allocate((count, *source.shape)), torch.empty(count, dtype=torch.int64)
    for i, name in enumerate(names):
        content = archive.read(layout.folder + name, per_file * record)
        if len(content) != per_file * record:
            expected = per_file * record
            raise archive.bad(f"has a {name} of {len(content)} bytes instead of {expected}")
        rows = np.frombuffer(content, np.uint8).reshape(per_file, record)
        part = slice(i * per_file, (i + 1) * per_file)
        labels[part] = torch.from_numpy(rows[:, layout.labels - 1].astype(np.int64))
        images[part].numpy()[:] = rows[:, layout.labels :].reshape(per_file, *source.shape)
    if int(labels.max()) >= source.classes:
        raise archive.bad(f"holds the label {int(labels.max())}")
    return LabelledImages(images, labels)
