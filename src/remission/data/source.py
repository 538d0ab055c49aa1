"""What is known of a data set: its files, its licence, and where it is looked for.

This module imports no torch and no numpy, since ``remission data list`` shows what it holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remission.disk import cache_home
from remission.errors import DataError


@dataclass(frozen=True, kw_only=True)
class File:
    """One published file.

    Args:
        name: its file name, the same everywhere.
        size: bytes of its decompressed content.
        sha256: SHA-256 of its decompressed content. Debian compresses the published content anew,
            so that the ``.gz`` files differ and their content does not.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One published archive. It stays packed and is read in place; nothing is ever extracted.

    Args:
        name: its file name, the same everywhere.
        size: bytes of the archive.
        checksum: ``sha256:...`` of the archive, or ``md5:...`` where no other sum is known.
        limit: bytes that its unpacked members may have together, somewhat above the published ones.
        sign: a member whose presence in a folder shows that the archive was unpacked there.
    """

    name: str
    size: int
    checksum: str
    limit: int
    sign: str


DataFormat = Literal["idx", "cifar10", "cifar100", "gtsrb", "tiny-imagenet", "digits", "shapes"]
"""The formats in which files are read; see :mod:`remission.data.load`."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that is known by name.

    Args:
        name: the name that a spec uses.
        description: one line.
        shape: (C, H, W) of one image.
        classes: number of classes.
        train: number of published training images.
        test: number of published test images.
        licence: the terms under which the data may be used.
        format: how the files are read.
        files: training images, training labels, test images, test labels, each compressed.
        archives: the published archives, where the data come in those.
        refused: file names of other versions of the archives, which hold pickles and are not read.
        folder: where the system's package puts the files.
        package: the system's package.
        address: the public address in front of the file names.
        bundled: the Python package with which the data come, if there is one.
        class_names: where they are known without the files, in the order of the labels.
    """

    name: str
    description: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    licence: str
    format: DataFormat
    files: tuple[File, ...] = ()
    archives: tuple[Archive, ...] = ()
    refused: tuple[str, ...] = ()
    folder: Path | None = None
    package: str | None = None
    address: str | None = None
    bundled: str | None = None
    class_names: tuple[str, ...] = ()

    @property
    def cache(self) -> Path:
        """The folder of the cache in which the files lie.

        Raises:
            DataError: there is no cache, see :func:`cache_folder`.
        """
        return cache_folder() / self.name

    def found(self) -> str | None:
        """Returns where the data set lies on this computer, or None; nothing is verified."""
        if self.bundled is not None:
            return f"with {self.bundled}"
        for folder in self.local_folders():
            packed = all((folder / file.name).is_file() for file in self.files)
            if packed and all(archive_in(folder, archive) for archive in self.archives):
                return str(folder)
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all published files."""
        return (*(file.name for file in self.files), *(archive.name for archive in self.archives))

    def local_folders(self) -> tuple[Path, ...]:
        """Returns the folders of this computer to look in, first to last."""
        own = () if self.folder is None else (self.folder,)
        try:
            return (self.cache, *own)
        except DataError:  # files that lie elsewhere can be read without a cache
            return own

    def places(self) -> tuple[str, ...]:
        """Returns all places to look for the data set, first to last, for people to read."""
        if self.bundled is not None:
            return (f"with {self.bundled}",)
        remote = [f"apt-get download {self.package}"] if self.package else []
        remote += [self.address] if self.address else []
        return (*(str(folder) for folder in self.local_folders()), *remote)


def archive_in(folder: Path, archive: Archive) -> Path | None:
    """Returns the archive's file in ``folder``, or ``folder`` if it was unpacked there, or None."""
    if (folder / archive.name).is_file():
        return folder / archive.name
    return folder if (folder / archive.sign).exists() else None


def cache_folder() -> Path:
    """``$REMISSION_DATA``, or ``$XDG_CACHE_HOME/remission``, or ``~/.cache/remission``.

    Raises:
        DataError: none of them names a folder, as in a container whose user has no home.
    """
    common = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    written, found = f"{common}/remission", cache_home()
    if own := os.environ.get("REMISSION_DATA"):
        path = os.path.expanduser(own)  # noqa: PTH111 -- pathlib's raises where there is no home
        written, found = own, None if path.startswith("~") else Path(path)
    if found is None:
        raise DataError(
            f"there is no folder for data sets: '{written}' needs a home, and this user has none",
            "set REMISSION_DATA to a folder that can be written, or HOME",
        )
    return found
