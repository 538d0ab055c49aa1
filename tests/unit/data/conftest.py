"""A small data set in the official format, and no way to a network."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remission.data import catalogue, fetch
from remission.data.download import UnavailableError
from remission.data.source import File, Source
from tests.unit.data.archives import expect

TRAIN, TEST = 40, 20


def idx(values: np.ndarray) -> bytes:
    """Returns uint8 values in the IDX format."""
    header = bytes((0, 0, 8, values.ndim))
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return header + lengths + values.tobytes()


def contents() -> dict[str, bytes]:
    """Returns the four decompressed files of a small data set of 28x28 images."""
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
    """Stands for a place outside this computer that has nothing."""
    raise UnavailableError("switched off in tests")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Replaces ``fashion-mnist`` in the catalogue by a small data set without files."""
    files = tuple(
        File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents().items()
    )
    source = dataclasses.replace(
        catalogue.CATALOGUE["fashion-mnist"], files=files, folder=tmp_path / "system"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "fashion-mnist", source)
    monkeypatch.setenv("REMISSION_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "unpack_package", unavailable)
    monkeypatch.setattr(fetch, "download", unavailable)
    return source


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the empty cache folder."""
    monkeypatch.setenv("REMISSION_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def put(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Source]:
    """Puts archives into the cache, and their checksums into the catalogue."""

    def place(name: str, files: dict[str, bytes], limit: int = 10**7) -> Source:
        source = expect(monkeypatch, name, files, limit)
        assert source.cache.parent == cache
        source.cache.mkdir(parents=True)
        for file, content in files.items():
            (source.cache / file).write_bytes(content)
        return source

    return place


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Serves a folder on this computer, without a network; yields its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that hangs up early is part of a test

    with ExitStack() as stack:

        def start(folder: Path) -> str:
            class Handler(http.server.SimpleHTTPRequestHandler):
                def __init__(self, *args: object, **kwargs: object) -> None:
                    super().__init__(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

                def log_message(self, format: str, *args: object) -> None:
                    pass

            running = stack.enter_context(Server(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=running.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(running.shutdown)
            return f"http://127.0.0.1:{running.server_port}/"

        yield start


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
