"""Copies of artefacts: undamaged ones are used, the oldest go, and nothing fails without a home."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from remission.records import artefact_cache
from remission.records.artefact_cache import cached, put_into_cache

CONTENT = b"weights"
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REMISSION_ARTEFACTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_copy_is_read_back(folder: Path) -> None:
    assert cached(NAME) is None
    put_into_cache(NAME, CONTENT)
    assert cached(NAME) == CONTENT
    assert [file.name for file in folder.iterdir()] == [NAME]


def test_a_damaged_copy_is_removed(folder: Path) -> None:
    put_into_cache(NAME, CONTENT)
    (folder / NAME).write_bytes(b"weighty")
    assert cached(NAME) is None
    assert list(folder.iterdir()) == []


def test_the_oldest_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefact_cache, "_MOST", 100)
    contents = [bytes([number]) * 25 for number in range(6)]
    for age, content in enumerate(contents):
        name = hashlib.sha256(content).hexdigest()
        put_into_cache(name, content)
        os.utime(folder / name, (age, age))
    kept = {(folder / file.name).read_bytes() for file in folder.iterdir()}
    assert contents[-1] in kept
    assert contents[0] not in kept
    assert sum(map(len, kept)) <= 100
    put_into_cache("0" * 64, b"x" * 26)
    assert not (folder / ("0" * 64)).exists(), "a quarter of the room at most"


@pytest.mark.skipif(os.name == "nt", reason="homes are named otherwise")
def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REMISSION_ARTEFACTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    put_into_cache(NAME, CONTENT)
    assert cached(NAME) is None


def test_a_cache_that_cannot_be_written_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("REMISSION_ARTEFACTS", str(tmp_path / "file"))
    put_into_cache(NAME, CONTENT)
    assert cached(NAME) is None
