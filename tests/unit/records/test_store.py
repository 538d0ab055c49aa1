"""Several processes use one store without disturbing each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from remission.records import Record
from remission.records.checking import young
from remission.records.store import Store
from tests.unit.grid.small import (
    FURTHER_PURIFIER,
    Told,
    age,
    computed,
    remission,
    run,
    write_spec,
)


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
    age(left)
    assert run(write_spec(tmp_path), store, "--only", "control/*").status == 0
    assert remission("store", "gc", store).out.splitlines() == [str(left)]
    (tmp_path / "other").mkdir()
    for name in (".part-killed", "mine"):
        (tmp_path / "other" / name).touch()
    assert run(write_spec(tmp_path), tmp_path / "other").status == 2


def test_gc_leaves_alone_what_a_run_is_writing(store: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, more=FURTHER_PURIFIER)
    keep = Store.keep
    told = list[Told]()

    def clear_up_first(self: Store, record: Record) -> None:
        (self.folder / "artefacts" / ".part-of-another-process").write_bytes(b"half")
        told.append(remission("store", "gc", store))
        keep(self, record)

    with mock.patch.object(Store, "keep", clear_up_first):
        assert run(spec, store).status == 0
    assert told
    assert {(one.status, one.out) for one in told} == {(0, "")}
    assert "files of the last hour were left alone, as a run may be" in told[0].err
    assert remission("store", "verify", store).status == 0
    assert computed(run(spec, store)) == []


def test_gc_goes_on_where_a_file_is_gone_before_it(store: Path) -> None:
    parts = [store / "artefacts" / f".part-{number}" for number in (1, 2, 3)]
    for part in parts:
        part.touch()
    age(*parts)

    def finished(file: Path) -> bool:
        parts[1].unlink(missing_ok=True)
        return young(file)

    with mock.patch("remission.records.checking.young", finished):
        told = remission("store", "gc", store)
    assert (told.status, told.out.splitlines()) == (0, [str(parts[0]), str(parts[2])])
    assert told.lines == ["2 files removed, 0.0 MB freed"]
