"""The ways out of this computer, with stand-ins for apt-get, dpkg and the server."""

from __future__ import annotations

import http.server
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Serves the small data set on this computer, without a network."""
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


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records pauses, which take no time."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def test_no_server(
    small: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(UnavailableError, match=r"train-images.*refused"):
        download(replace(small, address="http://127.0.0.1:9/"), tmp_path)
    assert pauses == [1.0, 4.0]


def test_no_network(small: Source, tmp_path: Path, pauses: list[float]) -> None:
    """Waiting would only delay the message."""
    with pytest.raises(UnavailableError, match="train-images"):
        download(replace(small, address="http://no-such-host.invalid/"), tmp_path)
    assert pauses == []


@contextmanager
def moody(folder: Path, moods: list[str]) -> Iterator[str]:
    """Starts a server that fails once per mood, and then serves the folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if not moods:
                super().do_GET()
                return
            mood = moods.pop(0)
            if mood.isdecimal():
                self.send_error(int(mood))
            elif mood == "short":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b"x" * 100)
            self.close_connection = True

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("mood", ["503", "429", "500", "short", "hangs up"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_failure_that_passes(
    server: Source,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
    mood: str,
    times: int,
) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    with (
        caplog.at_level(logging.WARNING, logger="remission.data"),
        moody(tmp_path / "served", [mood] * times) as address,
    ):
        folder = download(replace(server, address=address), goal)
    for file in server.files:
        assert (folder / file.name).read_bytes() == (tmp_path / "served" / file.name).read_bytes()
    assert pauses == [1.0, 4.0][:times]
    assert len(caplog.messages) == times
    assert caplog.messages[0].startswith("train-images-idx3-ubyte.gz: ")
    assert caplog.messages[0].endswith("; trying again in 1 s")


@pytest.mark.parametrize(
    ("mood", "reason"),
    [("503", "status 503"), ("short", "the connection ended after 100 of 100000 bytes")],
)
def test_a_failure_that_stays(
    server: Source, tmp_path: Path, pauses: list[float], mood: str, reason: str
) -> None:
    moods = [mood] * 5
    with (
        moody(tmp_path / "served", moods) as address,
        pytest.raises(UnavailableError, match=f"^train-images-idx3-ubyte.gz: {reason}"),
    ):
        download(replace(server, address=address), tmp_path)
    assert (len(moods), pauses) == (2, [1.0, 4.0])  # three tries in all


@pytest.mark.parametrize("mood", ["404", "403", "410"])
def test_a_failure_that_no_second_try_mends(
    server: Source, tmp_path: Path, pauses: list[float], mood: str
) -> None:
    with (
        moody(tmp_path / "served", [mood]) as address,
        pytest.raises(UnavailableError, match=f"status {mood}"),
    ):
        download(replace(server, address=address), tmp_path)
    assert pauses == []
