"""A small data set in the official format, and no way to a network."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remission.data import fetch, sources
from remission.data.remote import UnavailableError
from remission.data.sources import File, Source

TRAIN, TEST = 40, 20


def idx(values: np.ndarray) -> bytes:
    """Values of uint8 in the IDX format."""
    header = bytes((0, 0, 8, values.ndim))
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return header + lengths + values.tobytes()


def contents() -> dict[str, bytes]:
    """The four decompressed files of a small data set of 28x28 images."""
    rng = np.random.default_rng(0)
    made = {}
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        made[f"{part}-images-idx3-ubyte.gz"] = idx(images)
        made[f"{part}-labels-idx1-ubyte.gz"] = idx(labels)
    return made


def write(folder: Path, files: dict[str, bytes], *, level: int = 9) -> None:
    """Compresses the files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content, level))


def unavailable(source: Source, scratch: Path) -> Path:
    """A place outside this computer that has nothing."""
    raise UnavailableError("switched off in tests")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """``fashion-mnist`` in the catalogue, replaced by a small one; its files lie nowhere yet."""
    files = tuple(
        File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents().items()
    )
    source = dataclasses.replace(
        sources.CATALOGUE["fashion-mnist"], files=files, folder=tmp_path / "system"
    )
    monkeypatch.setitem(sources.CATALOGUE, "fashion-mnist", source)
    monkeypatch.setenv("REMISSION_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "unpack_package", unavailable)
    monkeypatch.setattr(fetch, "download", unavailable)
    return source


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Makes an image folder: ``tree({"cat/1.png": (height, width, mode)})``."""

    def make(images: dict[str, tuple[int, int, str]], root: str = "images") -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        for i, (name, (height, width, mode)) in enumerate(images.items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (width, height), i + 1).save(path)
        return folder

    return make
