"""The data set of a process: loaded, digested and split; the last two stay in memory."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from remission.data import load_dataset, split_dataset
from remission.data.decode import Resize
from remission.mapped_tensors import chunks
from remission.seeding import Seed
from remission.types import Dataset, Split


@lru_cache(maxsize=2)
def dataset_of(
    name: str, size: int | None = None, resize: Resize = "crop", white: int | None = None
) -> Dataset:
    """Loads a data set; the two used last stay in memory."""
    return load_dataset(name, size=size, resize=resize, white=white)


@lru_cache(maxsize=2)
def digest_of(dataset: Dataset) -> str:
    """Returns 16 hexadecimal digits for all images and labels, and whether copies stay together."""
    digest = hashlib.sha256()
    for part in (dataset.train, dataset.test):
        digest.update(repr(tuple(part.images.shape)).encode())
        for chunk in chunks(part.images):
            digest.update(part.images[chunk].reshape(-1).numpy().data)
        digest.update(part.labels.contiguous().numpy().data)
    if dataset.copies is not None:  # the split differs from one that ignored them
        digest.update(b"copies stay together")
    return digest.hexdigest()[:16]


@lru_cache(maxsize=2)
def split_of(
    place: tuple[str, int | None, Resize, int | None],
    seed: int,
    counts: tuple[tuple[str, Any], ...],
    device: str,
) -> Split:
    """Splits a data set; the two splits used last stay in memory.

    Args:
        place: the arguments of :func:`dataset_of`.
        seed: the seed of the spec.
        counts: the sizes of the sets, as :func:`remission.data.split_dataset` takes them.
        device: where the images are put.
    """
    split = split_dataset(dataset_of(*place), Seed(seed).child("split"), **dict(counts))
    return split.to(device)
