"""The catalogue: which data sets there are, their licences, and where each is looked for.

No torch and no numpy here: ``remission data list`` shows it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from remission.errors import DataError, closest


@dataclass(frozen=True, kw_only=True)
class File:
    """One published file.

    Args:
        name: its name, the same everywhere.
        size: bytes of its decompressed content.
        sha256: of its decompressed content. Not of the compressed file: Debian compresses the
            published content anew, so that the ``.gz`` files differ and their content does not.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that is known by name.

    Args:
        name: the name that a spec uses.
        description: one line.
        shape: (C, H, W) of one image.
        classes: how many.
        train: number of published training images.
        test: number of published test images.
        licence: under which the data may be used.
        files: training images, training labels, test images, test labels; none if the data comes
            with a Python package that is always installed.
        folder: where the system's package puts the files.
        package: the system's package.
        address: the public address in front of the file names.
        bundled: the Python package that the data comes with, if it does.
    """

    name: str
    description: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    licence: str
    files: tuple[File, ...] = ()
    folder: Path | None = None
    package: str | None = None
    address: str | None = None
    bundled: str | None = None

    @property
    def cache(self) -> Path:
        """The folder of the cache that the files are kept in."""
        return cache_folder() / self.name

    def found(self) -> str | None:
        """Where the data set lies on this computer, or None. Nothing is verified here."""
        if self.bundled is not None:
            return f"with {self.bundled}"
        for folder in self.local_folders():
            if all((folder / file.name).is_file() for file in self.files):
                return str(folder)
        return None

    def local_folders(self) -> tuple[Path, ...]:
        """The folders of this computer to look in, first to last."""
        return (self.cache,) if self.folder is None else (self.cache, self.folder)

    def places(self) -> tuple[str, ...]:
        """Everywhere the data set is looked for, first to last, for people to read."""
        if self.bundled is not None:
            return (f"with {self.bundled}",)
        remote = [f"apt-get download {self.package}"] if self.package else []
        remote += [self.address] if self.address else []
        return (*(str(folder) for folder in self.local_folders()), *remote)


def cache_folder() -> Path:
    """``$REMISSION_DATA``, or ``$XDG_CACHE_HOME/remission``, or ``~/.cache/remission``."""
    if own := os.environ.get("REMISSION_DATA"):
        return Path(own).expanduser()
    if common := os.environ.get("XDG_CACHE_HOME"):
        return Path(common).expanduser() / "remission"
    return Path("~/.cache/remission").expanduser()


def find_source(name: str) -> Source:
    """The catalogue's entry of that name.

    Raises:
        DataError: there is none; the message names the closest one.
    """
    if name not in CATALOGUE:
        raise DataError(
            f"unknown data set '{name}'",
            f"{closest(name, CATALOGUE)}, or give an image folder by its path",
        )
    return CATALOGUE[name]


_FASHION_MNIST = Source(
    name="fashion-mnist",
    description="grey photographs of articles of clothing (Zalando Research)",
    shape=(1, 28, 28),
    classes=10,
    train=60_000,
    test=10_000,
    licence="MIT",
    files=(
        File(
            name="train-images-idx3-ubyte.gz",
            size=47_040_016,
            sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        File(
            name="train-labels-idx1-ubyte.gz",
            size=60_008,
            sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        File(
            name="t10k-images-idx3-ubyte.gz",
            size=7_840_016,
            sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        File(
            name="t10k-labels-idx1-ubyte.gz",
            size=10_008,
            sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    folder=Path("/usr/share/datasets/fashion-mnist"),
    package="dataset-fashion-mnist",
    # The publisher's address knows no https; what it sends is used only if its checksum is right.
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)

_DIGITS = Source(
    name="digits",
    description="handwritten digits, small enough for a first try (UCI, from scikit-learn)",
    shape=(1, 8, 8),
    classes=10,
    train=1_438,
    test=359,
    licence="CC BY 4.0",
    bundled="scikit-learn",
)

CATALOGUE: dict[str, Source] = {source.name: source for source in (_FASHION_MNIST, _DIGITS)}
"""Every data set that is known by name; any image folder is one too, by its path."""
