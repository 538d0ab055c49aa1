"""Image folders: ``DIR/class/image.png``, or ``DIR/train/class/...`` and ``DIR/test/class/...``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from remission.data.class_order import class_order
from remission.data.decode import EXTENSIONS, Resize, read_images
from remission.errors import DataError, closest
from remission.names import composed
from remission.types import LabelledImages

_TEST_SHARE = 5  # one image in so many becomes a test image, where the folder has no split


@dataclass(frozen=True)
class FolderDataset:
    """What :func:`load_folder_dataset` read: uint8 images (N, C, H, W), names of the classes."""

    train: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]


def load_folder(
    folder: Path,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    classes: tuple[str, ...] | None = None,
    resize: Resize = "crop",
) -> tuple[LabelledImages, tuple[str, ...]]:
    """The images of ``DIR/class/image.png``, uint8 (N, C, H, W), and the names of the classes.

    Each sub-folder is a class. Classes whose names are all whole numbers are sorted by value, other
    classes and all images by name, as text. Read are png, jpg,
    jpeg, bmp, webp, pgm and ppm; files with other endings and hidden ones are passed over, links
    are followed. Transparency is dropped, 16-bit grey becomes 8-bit grey.

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

    Raises:
        DataError: the folder, or a file in it, cannot be used; the message names it.
    """
    if channels not in (None, 1, 3):
        raise DataError(f"channels={channels}", "give 1 for grey or 3 for colour images")
    folder = Path(folder)
    with _readable(folder):
        found = _scan(folder)
    names = tuple(found) if classes is None else tuple(classes)
    paths, labels = _flatten(found, names, folder)
    images = read_images(paths, size=_size(size), channels=channels, resize=resize)
    return LabelledImages(images, torch.tensor(labels)), names


def load_folder_dataset(
    folder: Path, *, size: int | tuple[int, int] | None = None, resize: Resize = "crop"
) -> FolderDataset:
    """A folder in one of the two layouts that :func:`remission.data.load_dataset` describes.

    Raises:
        DataError: the folder, or a file in it, cannot be used.
    """
    with _readable(folder):
        train, test = _parts(folder)
    names = tuple(train)
    train_paths, train_labels = _flatten(train, names, folder / "train")
    test_paths, test_labels = _flatten(test, names, folder / "test")
    # Read together, so that one size and one number of channels hold for both.
    paths = [*train_paths, *test_paths]
    images = read_images(paths, size=_size(size), channels=None, resize=resize)
    cut = len(train_paths)
    return FolderDataset(
        train=LabelledImages(images[:cut], torch.tensor(train_labels)),
        test=LabelledImages(images[cut:], torch.tensor(test_labels)),
        classes=names,
    )


def _parts(folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Training and test images by class."""
    train, test = folder / "train", folder / "test"
    # CIFAR-100 has a class "train": a folder of that name that holds images is a class.
    if train.is_dir() and _class_folders(train):
        if not test.is_dir():
            raise DataError(
                f"{folder} has a folder train and no folder test",
                f"put test images into {test}/class, or give {train} to have a fifth held out",
            )
        return _scan(train), _scan(test)
    every = _scan(folder)
    held_out = {name: _held_out(name, paths) for name, paths in every.items()}
    rest = {name: [p for p in every[name] if p not in held_out[name]] for name in every}
    return rest, {name: sorted(paths) for name, paths in held_out.items()}


def _held_out(name: str, paths: list[Path]) -> set[Path]:
    """A fifth of a class, at least one image, by a hash that no computer and no order changes."""
    if len(paths) < 2:
        raise DataError(
            f"{paths[0].parent} holds one image, too few for a training and a test image",
            "add images, or give folders train and test",
        )
    count = max(1, round(len(paths) / _TEST_SHARE))
    ranked = sorted(
        paths, key=lambda p: hashlib.sha256(os.fsencode(f"{name}/{composed(p.name)}")).digest()
    )
    return set(ranked[:count])


def _scan(folder: Path) -> dict[str, list[Path]]:
    """The images of each class: classes in their order, images sorted by name."""
    if not folder.exists():
        raise DataError(f"{folder} does not exist", "give the path of a folder of images")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", "give the path of a folder of images")
    folders = {composed(path.name): path for path in _class_folders(folder)}
    order = class_order(path.name for path in _class_folders(folder))
    found = {name: _images(folders[name]) for name in order}
    if not found:
        raise DataError(
            f"{folder} has no class folder", f"put the images into {folder}/class/image.png"
        )
    return found


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _images(folder: Path) -> list[Path]:
    paths = [path for path in _entries(folder) if path.suffix.lower() in EXTENSIONS]
    for path in paths:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path} is a broken link", "restore what it points to, or delete it")
    paths = [path for path in paths if path.is_file()]
    if not paths:
        endings = ", ".join(sorted(ending[1:] for ending in EXTENSIONS))
        raise DataError(
            f"class folder {folder} holds no image ({endings})", "add images or delete the folder"
        )
    return paths


def _entries(folder: Path) -> list[Path]:
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(shown, key=lambda path: (composed(path.name), path.name))


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
    found: dict[str, list[Path]], names: tuple[str, ...], folder: Path
) -> tuple[list[Path], list[int]]:
    """The paths of all images, and the index of each one's class in ``names``."""
    index = {composed(name): i for i, name in enumerate(names)}
    for name in found:
        if name not in index:
            raise DataError(f"{folder} has an unknown class folder '{name}'", closest(name, names))
    pairs = [(path, index[name]) for name, paths in found.items() for path in paths]
    return [path for path, _ in pairs], [label for _, label in pairs]


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """(height, width)."""
    pair = (size, size) if isinstance(size, int) else size
    if pair is not None and min(pair) < 1:
        raise DataError(f"size={size}", "give a size of 1 pixel or more")
    return pair
