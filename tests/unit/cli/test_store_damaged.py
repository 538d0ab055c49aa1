"""A damaged or read-only store gives one line with a remedy, and nothing changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.grid.small import assert_one_line, by_label, remission, run, snapshot

RECORDS = [b"", b"{", b"[]", b"3", b'{"format": 1}', b'{"format": 2}', b"\xff\xfe", b"{}"]


def assert_named(store: Path, *words: str) -> None:
    """Checks that ``store verify`` names one damaged file."""
    told = remission("store", "verify", store)
    assert told.status == 1, told
    assert len(told.out.splitlines()) == 1
    assert all(word in told.out for word in words), told.out
    assert "; run the spec again" in told.out or "then run the spec again" in told.out
    assert ", 1 damaged\n" in told.err


@pytest.mark.parametrize("content", RECORDS)
@pytest.mark.parametrize("command", [["table"], ["store", "gc"], ["report", "-o", "PAGE"]])
def test_a_broken_record(
    finished: Path, tmp_path: Path, command: list[str], content: bytes
) -> None:
    store = Path(shutil.copytree(finished, tmp_path / "store"))
    record = by_label(store)["badnets/seed0/ft"]
    file = store / "records" / record.kind / f"{record.id}.json"
    file.write_bytes(content)
    before = snapshot(store)
    page = str(tmp_path / "page.html")
    told = remission(*(page if word == "PAGE" else word for word in command), store)
    assert_one_line(told, f"the record {file} is damaged (", "run the spec again", "or remove the")
    assert_named(store, f"the record {file} is damaged (")
    assert "pydantic" not in told.err
    assert "validation" not in told.err
    assert snapshot(store) == before
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("kind", ["purified", "control"])
def test_a_record_in_another_ones_place(finished: Path, tmp_path: Path, kind: str) -> None:
    store = Path(shutil.copytree(finished, tmp_path / "store"))
    labels = by_label(store)
    ft, pam = labels["badnets/seed0/ft"].id, labels["badnets/seed0/pam"].id
    file = store / "records" / kind / f"{pam if kind == 'purified' else ft}.json"
    shutil.copy(store / "records" / "purified" / f"{ft}.json", file)
    words = (
        f"the record {file} is damaged (it is that of the purified {ft})",
        "run the spec again",
    )
    page = str(tmp_path / "page.html")
    for command in (["table"], ["store", "gc"], ["report", "-o", page]):
        assert_one_line(remission(*command, store), *words)
    assert_named(store, words[0])


def test_a_folder_where_a_record_belongs(finished: Path, tmp_path: Path, spec: Path) -> None:
    store = Path(shutil.copytree(finished, tmp_path / "store"))
    record = by_label(store)["badnets/seed0/ft"]
    file = store / "records" / record.kind / f"{record.id}.json"
    file.unlink()
    file.mkdir()
    words = (f"'{file}' is a folder where a record belongs", "remove it, then run the spec again")
    for command in (["table"], ["store", "gc"]):
        assert_one_line(remission(*command, store), *words)
    assert_named(store, words[0])
    assert_one_line(run(spec, store), *words)
    file.rmdir()
    assert run(spec, store).status == 0


def test_a_store_without_records_says_so(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(finished / "remission-store.json", store)
    for command in (["table"], ["store", "verify"]):
        assert_one_line(remission(*command, store), f"'{store}' holds no records", "remission run")


@pytest.fixture
def locked(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished store into which nothing may be written."""
    store = Path(shutil.copytree(finished, tmp_path / "store"))
    folders = [store, *(folder for folder in store.rglob("*") if folder.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    if os.access(store, os.W_OK):
        pytest.skip("this user may write everywhere")
    yield store
    for folder in folders:
        folder.chmod(0o700)


def test_a_store_that_may_not_be_written(spec: Path, locked: Path) -> None:
    before = snapshot(locked)
    told = run(spec, locked)
    assert_one_line(told, str(locked), "cannot be written", "check its permissions")
    assert snapshot(locked) == before
