"""A data set by its name, or an image folder by its path."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from remission.data import shapes
from remission.data.archive import Members, open_archive
from remission.data.catalogue import CATALOGUE, find_source
from remission.data.cifar import read_cifar
from remission.data.decode import Resize
from remission.data.fetch import obtain, obtain_archives
from remission.data.folder import load_folder_dataset
from remission.data.gtsrb import read_gtsrb
from remission.data.idx import parse_idx
from remission.data.source import Source
from remission.data.split import holdout
from remission.data.tiny_imagenet import read_tiny_imagenet
from remission.errors import DataError
from remission.mapped_tensors import chunks
from remission.names import on_disk
from remission.seeding import Seed
from remission.types import Dataset, LabelledImages

_Parts = tuple[LabelledImages, LabelledImages, tuple[str, ...]]
_READERS: Mapping[str, Callable[[list[Members], Source], _Parts]] = {
    "cifar10": read_cifar,
    "cifar100": read_cifar,
    "gtsrb": read_gtsrb,
    "tiny-imagenet": read_tiny_imagenet,
}
"""The readers of the data sets that come in archives, by their format."""
_DIGITS = ("digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz")
"""The files of the digits beside this one; tools/digits.py writes them."""


def load_dataset(
    name: str | os.PathLike[str],
    *,
    fetch: bool = True,
    size: int | tuple[int, int] | None = None,
    resize: Resize = "crop",
    white: int | None = None,
) -> Dataset:
    """Loads a data set with its published training and test images, uint8 (N, C, H, W).

    - ``"fashion-mnist"``: 60,000 + 10,000 images, 1x28x28.
    - ``"cifar10"``, ``"cifar100"``: 50,000 + 10,000 images, 3x32x32.
    - ``"gtsrb"``: 39,209 + 12,630 images, resized whole to 3x32x32, 43 classes.
    - ``"tiny-imagenet"``: 100,000 + 10,000 images (the validation ones), 3x64x64, 200 classes.
    - ``"shapes"``: 20,000 + 4,000 images drawn by this program, 3x32x32 or of another ``size``;
      see :mod:`remission.data.shapes`.
    - ``"digits"``: the 1,797 images of scikit-learn, which come with this package: 1x8x8, 0..16
      scaled to 0..255 and rounded. No split is published; ours is fixed: 80 % train, 20 % test,
      stratified, always the same.
    - an image folder: any name that holds a path separator, starts with ``.`` or ``~``, or is an
      existing folder (a known name wins: write ``./digits`` for the folder). Either
      ``DIR/train/class/image.png`` and ``DIR/test/class/image.png``, or ``DIR/class/image.png``,
      of which a fifth of each class becomes the test images, chosen by a hash of the class and
      the file name: the same on every computer, and stable when images are added. Images with
      equal pixels stay on one side. See :func:`remission.data.load_folder` for the files that are
      read; the ``notes`` of the data set say what was read and what was not.

    Args:
        name: a name of the catalogue, or a path. A :class:`~pathlib.Path` is always a folder.
        fetch: bring the files if they are not on this computer; else that is an error.
        size: of an image folder: pixels (one number, or height and width) that its images are
            brought to; without it they must share one size. Of ``"shapes"``: their side.
        resize: of an image folder: how its images come to that size, ``"crop"``, ``"squash"`` or
            ``"pad"``; see :func:`remission.data.load_folder`.
        white: of an image folder: the value of grey 16-bit files that stands for white, 65535 if
            not given.

    Raises:
        DataError: unknown name, files that cannot be had, or a folder that cannot be used.
    """
    if not isinstance(name, str):
        name = os.path.join(os.curdir, os.fspath(name))  # noqa: PTH118 -- pathlib drops the "."
    place = find_folder(name)
    if resize != "crop" and not (place is not None and size is not None):
        raise DataError(
            f"resize='{resize}' with data set '{name}' and size={size}",
            "give it together with a size, and with folders only",
        )
    if place is not None:
        folder = load_folder_dataset(place, size=size, resize=resize, white=white)
        dataset = _dataset(name, folder.train, folder.test, folder.classes)
        return replace(dataset, copies=folder.copies, notes=folder.notes)
    if white is not None:
        raise DataError(f"white={white} with data set '{name}'", "give it with folders only")
    source = find_source(name)
    if source.format == "shapes":
        return _shapes(name, source.shape[1] if size is None else size)
    if size is not None:
        raise DataError(
            f"size={size} with data set '{name}'", "give a size with folders and shapes only"
        )
    if source.format == "digits":
        return _digits(name)
    if source.format == "idx":
        return _from_idx(source, obtain(source, fetch=fetch))
    places = obtain_archives(source, fetch=fetch)
    members = [open_archive(places[item.name], item, source) for item in source.archives]
    return _dataset(name, *_READERS[source.format](members, source))


def find_folder(name: str, base: Path | None = None) -> Path | None:
    """The absolute path of the image folder that ``name`` means; None where it means none.

    Args:
        name: as for :func:`load_dataset`.
        base: the folder that a relative path starts from; without it the working directory.
    """
    if name in CATALOGUE or not name:
        return None
    # Not pathlib's: that one raises on the "~" of somebody unknown.
    path = Path(os.path.abspath((base or Path.cwd()) / os.path.expanduser(name)))  # noqa: PTH100, PTH111
    path = on_disk(path)
    separators = [mark for mark in (os.sep, os.altsep) if mark]
    if name.startswith((".", "~")) or any(mark in name for mark in separators):
        return path
    return path if os.path.isdir(path) else None  # noqa: PTH112 -- pathlib raises on a long name


def _from_idx(source: Source, contents: dict[str, bytes]) -> Dataset:
    """Reads four IDX files: training images and labels, test images and labels."""
    names = [file.name for file in source.files]
    train = _labelled(contents, names[0], names[1], source)
    test = _labelled(contents, names[2], names[3], source)
    return _dataset(source.name, train, test, source.class_names)


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
    pixels, labels = (
        parse_idx(gzip.decompress(Path(__file__).with_name(file).read_bytes()), file, dims=dims)
        for file, dims in zip(_DIGITS, (3, 1), strict=True)
    )
    images = torch.from_numpy(pixels.astype("float64")).unsqueeze(1)  # (1797, 1, 8, 8), 0..16
    images = images.mul(255 / 16).round().to(torch.uint8)
    every = LabelledImages(images, torch.from_numpy(labels.astype("int64")))
    # The seed is part of the data set's definition: it never follows the seed of an experiment.
    train, test = holdout(every.labels, 0.2, Seed(0).child("data", "digits"))
    return _dataset(name, every[train], every[test], CATALOGUE[name].class_names)


def _shapes(name: str, size: int | tuple[int, int]) -> Dataset:
    if not isinstance(size, int) or not 16 <= size <= 256:
        raise DataError(f"size={size} with data set '{name}'", "give one number from 16 to 256")
    # The seeds are part of the data set's definition.
    train, test = (
        shapes.draw_shapes(count, size, seed)
        for seed, count in ((1, shapes.TRAIN), (2, shapes.TEST))
    )
    return _dataset(name, train, test, shapes.CLASSES)


def _dataset(
    name: str, train: LabelledImages, test: LabelledImages, classes: tuple[str, ...]
) -> Dataset:
    mean, std = _statistics(train.images)
    return Dataset(name=name, train=train, test=test, classes=classes, mean=mean, std=std)


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation per channel of uint8 images (N, C, H, W), as in [0, 1].

    They come from a histogram, which is exact for any N and needs no copy of the images in floats.
    Pillow counts in a quarter of torch's time.
    The standard deviation of a channel that never varies is 1, since models divide by it.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for part in chunks(images):
            pixels = images[part, channel].flatten(1).numpy()  # (n, H * W)
            counts += torch.tensor(Image.fromarray(pixels).histogram())
        weights = counts / counts.sum()
        mean = (weights * values).sum()
        std = (weights * (values - mean).square()).sum().sqrt()
        means.append(mean.item())
        stds.append(std.item() if counts.count_nonzero() > 1 else 1.0)
    return tuple(means), tuple(stds)
