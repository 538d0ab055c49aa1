"""A data set by its name, or an image folder by its path."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from remission.data.fetch import obtain
from remission.data.folder import load_folder_dataset
from remission.data.idx import parse_idx
from remission.data.sources import CATALOGUE, Source, find_source
from remission.data.split import holdout
from remission.errors import DataError
from remission.seeding import Seed
from remission.types import Dataset, LabelledImages

_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_dataset(
    name: str, *, fetch: bool = True, size: int | tuple[int, int] | None = None
) -> Dataset:
    """A data set with its published training and test images, uint8 (N, C, H, W).

    - ``"fashion-mnist"``: 60,000 + 10,000 images, 1x28x28.
    - ``"digits"``: scikit-learn's 1,797 images, 1x8x8, 0..16 scaled to 0..255 and rounded. No
      split is published; ours is fixed: 80 % train, 20 % test, stratified, always the same.
    - an image folder: any name that holds a path separator, starts with ``.`` or ``~``, or is an
      existing folder (a known name wins: write ``./digits`` for the folder). Either
      ``DIR/train/class/image.png`` and ``DIR/test/class/image.png``, or ``DIR/class/image.png``,
      of which a fifth of each class becomes the test images, chosen by a hash of the class and
      the file name: the same on every computer, and stable when images are added. See
      :func:`remission.data.load_folder` for the files that are read.

    Args:
        name: a name of the catalogue, or a path.
        fetch: bring the files if they are not on this computer; else that is an error.
        size: of an image folder: pixels (one number, or height and width) that its images are
            resized and cropped to; without it they must share one size.

    Raises:
        DataError: unknown name, files that cannot be had, or a folder that cannot be used.
    """
    if name not in CATALOGUE and _is_path(name):
        # Not pathlib's: that one raises on the "~" of somebody unknown.
        folder = load_folder_dataset(Path(os.path.expanduser(name)), size=size)  # noqa: PTH111
        return _dataset(name, folder.train, folder.test, folder.classes)
    source = find_source(name)
    if size is not None:
        raise DataError(f"size={size} with data set '{name}'", "give a size with folders only")
    if source.bundled is not None:
        return _digits(name)
    return _from_idx(source, obtain(source, fetch=fetch))


def _is_path(name: str) -> bool:
    separators = [mark for mark in (os.sep, os.altsep) if mark]
    if name.startswith((".", "~")) or any(mark in name for mark in separators):
        return True
    return os.path.isdir(name)  # noqa: PTH112 -- pathlib raises where a name is too long


def _from_idx(source: Source, contents: dict[str, bytes]) -> Dataset:
    """Four IDX files: training images and labels, test images and labels."""
    names = [file.name for file in source.files]
    train = _labelled(contents, names[0], names[1], source)
    test = _labelled(contents, names[2], names[3], source)
    return _dataset(source.name, train, test, _FASHION_CLASSES)


def _labelled(
    contents: dict[str, bytes], images: str, labels: str, source: Source
) -> LabelledImages:
    pixels = parse_idx(contents[images], images, dims=3)  # (N, H, W)
    classes = parse_idx(contents[labels], labels, dims=1)  # (N,)
    if len(pixels) != len(classes) or pixels.shape[1:] != source.shape[1:]:
        raise DataError(
            f"{images} has shape {pixels.shape} and {labels} has {len(classes)} labels",
            "fetch the files again",
        )
    if classes.size and int(classes.max()) >= source.classes:
        raise DataError(f"{labels} holds the label {classes.max()}", "fetch the file again")
    return LabelledImages(
        torch.from_numpy(pixels.copy()).unsqueeze(1),  # (N, 1, H, W); copied: bytes are read-only
        torch.from_numpy(classes.astype("int64")),
    )


def _digits(name: str) -> Dataset:
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).unsqueeze(1)  # (1797, 1, 8, 8), 0..16
    images = images.mul(255 / 16).round().to(torch.uint8)
    every = LabelledImages(images, torch.from_numpy(bunch.target).long())
    # The seed is part of the data set's definition: it never follows the seed of an experiment.
    train, test = holdout(every.labels, 0.2, Seed(0).child("data", "digits"))
    return _dataset(name, every[train], every[test], tuple("0123456789"))


def _dataset(
    name: str, train: LabelledImages, test: LabelledImages, classes: tuple[str, ...]
) -> Dataset:
    mean, std = _statistics(train.images)
    return Dataset(name=name, train=train, test=test, classes=classes, mean=mean, std=std)


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 images (N, C, H, W) taken as [0, 1].

    From the histogram: exact whatever N, and no float copy of the images. A channel that never
    varies gets 1 for its standard deviation, since models divide by it.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1), minlength=256).double()
        weights = counts / counts.sum()
        mean = (weights * values).sum()
        std = (weights * (values - mean).square()).sum().sqrt()
        means.append(mean.item())
        stds.append(std.item() if counts.count_nonzero() > 1 else 1.0)
    return tuple(means), tuple(stds)
