"""Several processes at one store: none is in the way of another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grid.small import remission, run, write_spec
from remission.grid.store import Store


def test_a_store_is_opened_while_another_process_writes_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fsync = tmp_path / "store", os.fsync

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        assert [file.name.startswith(".part-") for file in folder.iterdir()] == [True]
        Store(folder)

    monkeypatch.setattr(os, "fsync", meanwhile)
    Store(folder)
    assert os.fsync is fsync
    assert [file.name for file in folder.iterdir()] == ["remission-store.json"]


def test_a_store_is_opened_while_another_process_makes_it_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, iterdir = tmp_path / "store", Path.iterdir

    def meanwhile(self: Path) -> Iterator[Path]:
        monkeypatch.setattr(Path, "iterdir", iterdir)
        Store(folder).keep_spec("other", "{}")
        return self.iterdir()

    monkeypatch.setattr(Path, "iterdir", meanwhile)
    Store(folder)
    assert Path.iterdir is iterdir


def test_a_store_whose_mark_was_cut_short_is_run_into(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    left = store / ".part-killed"
    left.write_bytes(b'{"for')
    assert run(write_spec(tmp_path), store, "--only", "control/*").status == 0
    assert remission("store", "gc", store).out.splitlines() == [str(left)]
    (tmp_path / "other").mkdir()
    for name in (".part-killed", "mine"):
        (tmp_path / "other" / name).touch()
    assert run(write_spec(tmp_path), tmp_path / "other").status == 2
