"""The ways out of this computer, with stand-ins for apt-get, dpkg and the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remission.data.catalogue import CATALOGUE
from remission.data.download import UnavailableError, download, unpack_package
from remission.data.source import Source
from remission.progress import listening
from tests.unit.data.conftest import contents, write

SOURCE = CATALOGUE["fashion-mnist"]


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is searched for programs before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


UNPACK = 'mkdir -p "$3/usr/share/datasets/fashion-mnist"'


def test_the_package(programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", 'test "$1" = download && touch "$2_1.deb"')
    program(programs, "dpkg", UNPACK)
    folder = unpack_package(SOURCE, tmp_path)
    assert folder == tmp_path / "unpacked/usr/share/datasets/fashion-mnist"
    assert folder.is_dir()


def test_old_package_lists_are_replaced_by_own_ones(programs: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    program(
        programs,
        "apt-get",
        f'test "$2" = "Dir::State::Lists={lists}" || {{ echo "E: old" >&2; exit 100; }}\n'
        'case "$5" in update) touch updated;; download) test -e updated && touch x.deb;; esac',
    )
    program(programs, "dpkg", UNPACK)
    assert unpack_package(SOURCE, tmp_path).is_dir()


def test_no_such_package(programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", 'echo "W: x" >&2; echo "E: Unable to locate it" >&2; exit 100')
    program(programs, "dpkg", UNPACK)
    with pytest.raises(UnavailableError, match=r"^apt-get update failed: Unable to locate it$"):
        unpack_package(SOURCE, tmp_path)


def test_no_such_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"^apt-get is not installed$"):
        unpack_package(SOURCE, tmp_path)


@pytest.fixture
def server(tmp_path: Path, small: Source, serve: Callable[[Path], str]) -> Source:
    """The small data set served from this computer itself; no network."""
    served = tmp_path / "served"
    write(served, contents())
    return replace(small, address=serve(served))


def test_download(server: Source, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *step: heard.append(step)):
        folder = download(server, tmp_path)
    for file in server.files:
        assert (folder / file.name).read_bytes() == (tmp_path / "served" / file.name).read_bytes()
        assert [done == total for what, done, total in heard if what == file.name][-1]


def test_a_file_that_is_not_served(server: Source, tmp_path: Path) -> None:
    (tmp_path / "served/train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UnavailableError, match=r"^train-labels-idx1-ubyte.gz: status 404 File not"):
        download(server, tmp_path)


def test_an_endless_file(server: Source, tmp_path: Path) -> None:
    (tmp_path / "served/train-labels-idx1-ubyte.gz").write_bytes(bytes(300_000))
    with pytest.raises(UnavailableError, match="is longer than the published file"):
        download(server, tmp_path)


def test_no_server(small: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(UnavailableError, match=r"train-images.*refused"):
        download(replace(small, address="http://127.0.0.1:9/"), tmp_path)
