"""Image folders: ``DIR/class/image.png``, or ``DIR/train/class/...`` and ``DIR/test/class/...``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from remission.data.decode import Resize
from remission.data.halves import (
    ClassFiles,
    FolderDataset,
    ReadingOptions,
    read_and_hold_out,
    read_halves,
)
from remission.data.read_images import read_images
from remission.data.scan import (
    ClassImages,
    PassedOver,
    has_classes,
    pass_over_others,
    refuse_broken_links,
    scan_classes,
)
from remission.errors import DataError, closest
from remission.names import composed, printable
from remission.types import LabelledImages

_log = logging.getLogger(__name__)


def load_folder(
    folder: Path,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    classes: tuple[str, ...] | None = None,
    resize: Resize = "crop",
    white: int | None = None,
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Reads ``DIR/class/image.png``: images, uint8 (N, C, H, W), and the names of the classes.

    Each sub-folder is a class. Classes whose names are all whole numbers are sorted by value, other
    classes and all images by name, as text. Links are followed.
    Files are read by their endings: png, jpg (jpeg, jpe, jfif), bmp, webp, tif (tiff), gif, pbm,
    pgm, ppm and pnm. Hidden files, files with other endings and folders within a class are passed
    over, which is logged as a warning. Images are upright as their EXIF orientation says; what is
    transparent is laid on white; 16-bit values become 8-bit ones; of several frames the first is
    read.

    Args:
        folder: DIR.
        size: pixels, one number or (height, width), that all images are brought to as ``resize``
            says. Without it all images must share one size, and nothing is resized.
        channels: 1 (grey) or 3 (colour). Without it: 1 if every image is grey, else 3.
        classes: the class names in the order of their indices, where a model fixes them. Each
            sub-folder must be one of them; not every one needs a sub-folder. Without it: the
            sub-folders.
        resize: bilinear with antialiasing; ``"crop"``: until the image just covers the size, its
            centre is cut out; ``"squash"``: to the size, whatever that does to its proportions;
            ``"pad"``: until it just fits, black around it.
        white: the value of grey 16-bit files that stands for white, 65535 if not given.

    Raises:
        DataError: the folder, or a file in it, cannot be used; the message names it.
    """
    if channels not in (None, 1, 3):
        raise DataError(f"channels={channels}", "give 1 for grey or 3 for colour images")
    folder = Path(folder)
    passed = PassedOver(folder)
    with _readable(folder):
        folders = scan_classes(folder, passed)
    names = tuple(folders) if classes is None else tuple(classes)
    paths, labels = _flatten(folders, names, folder)
    read = read_images(paths, size=_size(size), channels=channels, resize=resize, white=white)
    for note in map(printable, (*passed.note(), *read.notes)):
        _log.warning("%s: %s", folder, note)
    return LabelledImages(read.images, torch.tensor(labels)), names


def load_folder_dataset(
    folder: Path,
    *,
    size: int | tuple[int, int] | None = None,
    resize: Resize = "crop",
    white: int | None = None,
) -> FolderDataset:
    """Reads a folder in one of the two layouts that :func:`remission.data.load_dataset` describes.

    Images with equal pixels never stand on both sides: where the folder has no split they are held
    out together, and where it has one, the training images that are test images too are left out.

    Raises:
        DataError: the folder, or a file in it, cannot be used.
    """
    passed, how = PassedOver(folder), ReadingOptions(_size(size), resize, white)
    with _readable(folder):
        halves = _halves(folder, passed)
        classes = scan_classes(halves[0] if halves else folder, passed)
        tested = scan_classes(halves[1], passed) if halves else {}
    names = tuple(classes)
    files = ClassFiles(*_flatten(classes, names, folder))
    if halves:
        read = read_halves(files, ClassFiles(*_flatten(tested, names, halves[1])), names, how)
    else:
        read = read_and_hold_out(files, names, how)
    first = (
        f"{folder}: {len(read.train) + len(read.test)} images of {len(names)} classes, "
        f"{len(read.train)} for training and {len(read.test)} for testing"
    )
    notes = (first, *passed.note(), *read.notes)
    return replace(read, notes=tuple(printable(note) for note in notes))


def _halves(folder: Path, passed: PassedOver) -> tuple[Path, Path] | None:
    """The folders of training and test images; None where the folder has no such split."""
    train, test = folder / "train", folder / "test"
    # CIFAR-100 has a class "train": a folder of that name that holds images is a class.
    if not has_classes(train):
        return None
    refuse_broken_links([test])
    if not test.is_dir():
        raise DataError(
            f"{folder} has a folder train and no folder test",
            f"put test images into {test}/class, or give {train} to have a fifth held out",
        )
    pass_over_others(folder, ("train", "test"), passed)
    return train, test


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise DataError(
            f"{where} cannot be read: {error.strerror or error}", "check the path and permissions"
        ) from None


def _flatten(
    folders: ClassImages, names: tuple[str, ...], folder: Path
) -> tuple[list[Path], list[int]]:
    """Returns the paths of all images, and for each the index of its class in ``names``."""
    index = {composed(name): i for i, name in enumerate(names)}
    for name in folders:
        if name not in index:
            raise DataError(f"{folder} has an unknown class folder '{name}'", closest(name, names))
    pairs = [(path, index[name]) for name, paths in folders.items() for path in paths]
    return [path for path, _ in pairs], [label for _, label in pairs]


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """(height, width)."""
    pair = (size, size) if isinstance(size, int) else size
    if pair is not None and min(pair) < 1:
        raise DataError(f"size={size}", "give a size of 1 pixel or more")
    return pair
