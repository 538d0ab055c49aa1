"""What lies in an image folder: classes, their images, and what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from remission.data.class_order import class_order
from remission.data.open_image import EXTENSIONS
from remission.data.read_images import together
from remission.errors import DataError
from remission.names import composed
from remission.records.files import holds_results

ClassImages = dict[str, list[Path]]
"""The images of each class: classes by composed name, in their order; images sorted by name."""

FileKind = tuple[str, str]
"""What is passed over: a noun in the singular, and what else is to be said of it."""


class PassedOver:
    """Counts what lies in a folder and is not read, and remembers one of each kind.

    Args:
        root: the data set's folder, which names are shown relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counts: Counter[FileKind] = Counter()
        self.examples: dict[FileKind, Path] = {}

    def add(self, kind: FileKind, path: Path) -> None:
        """Counts ``path`` as one more of a kind."""
        self.counts[kind] += 1
        self.examples.setdefault(kind, path)

    def note(self) -> tuple[str, ...]:
        """Returns a sentence on all that was passed over, or nothing where nothing was."""
        if not self.counts:
            return ()
        return (f"passed over: {', '.join(self._phrase(kind) for kind in self.counts)}",)

    def _phrase(self, kind: FileKind) -> str:
        """Returns such as "2 hidden files (as ant/.DS_Store)"."""
        (noun, rest), path, several = kind, self.examples[kind], self.counts[kind] > 1
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        words = f"{self.counts[kind]} {noun}{'s' if several else ''} {rest}".rstrip()
        return f"{words} ({'as ' if several else ''}{shown})"


def scan_classes(folder: Path, passed: PassedOver) -> ClassImages:
    """Finds the images of ``DIR/class/image.png``. Links are followed.

    Args:
        folder: DIR.
        passed: what is passed over is added to it.

    Raises:
        DataError: there is no such folder, it has no class, a class has no image, or links are
            broken; the message names them.
        OSError: a folder cannot be read.
    """
    if not folder.exists():
        raise DataError(f"{folder} does not exist", "give the path of a folder of images")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", "give the path of a folder of images")
    visible = list(_visible(folder, passed))
    refuse_broken_links(visible)
    for path in visible:
        if not path.is_dir():
            passed.add(_kind(path, "outside of the class folders"), path)
    folders = [path for path in visible if path.is_dir()]
    found = _without_results(folders, passed)
    if unreadable := [path for path in found if not _is_unicode(path.name)]:
        raise together([_no_unicode(path) for path in unreadable])
    names = class_order(path.name for path in found)
    by_name = {composed(path.name): path for path in found}
    classes = {name: _images(by_name[name], passed) for name in names}
    if not classes:
        raise DataError(
            f"{folder} has no class folder", f"put the images into {folder}/class/image.png"
        )
    if empty := [by_name[name] for name, paths in classes.items() if not paths]:
        raise together([_empty(path) for path in empty])
    return classes


def has_classes(folder: Path) -> bool:
    """Tells whether there is such a folder, with class folders in it."""
    if not folder.is_dir():
        return False
    passed = PassedOver(folder)
    folders = [path for path in _visible(folder, passed) if path.is_dir()]
    return bool(_without_results(folders, passed))


def pass_over_others(folder: Path, read: Iterable[str], passed: PassedOver) -> None:
    """Counts what lies in ``folder`` beside the folders named in ``read``."""
    for path in _visible(folder, passed):
        if path.name not in read:
            place = f"beside {' and '.join(read)}"
            if not path.is_dir():
                passed.add(_kind(path, place), path)
            elif _without_results([path], passed):
                passed.add(("folder", place), path)


def refuse_broken_links(paths: Iterable[Path]) -> None:
    """Raises an error that names the links among ``paths`` that lead nowhere."""
    broken = [path for path in paths if path.is_symlink() and not path.exists()]
    if broken:
        remedy = "restore what it points to, or delete it"
        raise together([DataError(f"{path} is a broken link", remedy) for path in broken])


def _images(folder: Path, passed: PassedOver) -> list[Path]:
    images = []
    for path in _visible(folder, passed):
        if path.is_dir():
            if _without_results([path], passed):
                _deeper(path, passed)
        elif path.suffix.lower() not in EXTENSIONS:
            passed.add(_kind(path, ""), path)
        elif path.is_file() or path.is_symlink():
            images.append(path)
        else:
            passed.add(("special file", ""), path)
    refuse_broken_links(images)
    return images


def _without_results(folders: Iterable[Path], passed: PassedOver) -> list[Path]:
    """Returns the folders that hold no results of remission in place of images."""
    others = []
    for folder in folders:
        if holds_results(folder) and not any(_is_image(path) for path in folder.iterdir()):
            passed.add(("folder", "of results of remission"), folder)
        else:
            others.append(folder)
    return others


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _deeper(folder: Path, passed: PassedOver) -> None:
    """Counts a folder within a class folder, and the images in it."""
    passed.add(("folder", "within a class"), folder)
    for where, _, names in os.walk(folder):
        for name in names:
            if _is_image(Path(name)):
                passed.add(("image", "in such a folder"), Path(where) / name)


def _kind(path: Path, place: str) -> FileKind:
    """Returns the kind of a file that is passed over."""
    ending = path.suffix.lower()
    if ending in EXTENSIONS:
        return "image", place
    return "file", f"ending in {ending}" if ending else "without an ending"


def _visible(folder: Path, passed: PassedOver) -> Iterator[Path]:
    """Yields the entries of a folder, sorted by composed names; hidden ones are passed over."""
    for path in sorted(folder.iterdir(), key=lambda path: (composed(path.name), path.name)):
        if path.name.startswith("."):
            passed.add(("hidden file", ""), path)
        else:
            yield path


def _is_unicode(name: str) -> bool:
    """Tells whether a name can be written into a record; Python holds other bytes as surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _no_unicode(folder: Path) -> DataError:
    return DataError(
        f"the name of class folder {folder} is no UTF-8", "give the folder a name in UTF-8"
    )


def _empty(folder: Path) -> DataError:
    endings = ", ".join(sorted(ending[1:] for ending in EXTENSIONS))
    return DataError(
        f"class folder {folder} holds no image ({endings})", "add images or delete the folder"
    )
