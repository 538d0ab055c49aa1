"""A file that is there and cannot be read is an error, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remission.errors import StoreError
from remission.records import Record, Store, read_records
from remission.records.checking import check_store
from remission.records.copying import copy_store
from remission.records.places import StorePath, attempts, read_all
from remission.records.status import status_of
from tests.unit.records.test_record import WHOLE

NAME = f"{WHOLE.id}.json"


@pytest.fixture(params=["folder", "memory"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Yields a store with a record whose file cannot be read."""
    if request.param == "folder":
        store = Store(tmp_path / "store")
        store.keep(WHOLE)
        reading = Path.read_bytes

        def refuse(file: Path) -> bytes:
            if file.name == NAME:
                raise PermissionError(13, "Permission denied", str(file))
            return reading(file)

        monkeypatch.setattr(Path, "read_bytes", refuse)
        yield store
    else:
        from fsspec.implementations.memory import MemoryFileSystem

        store = Store(f"memory://{tmp_path.name}/store")
        store.keep(WHOLE)
        catting = MemoryFileSystem.cat_file

        def fail(self: Any, path: str, **options: Any) -> bytes:  # noqa: ANN401
            if path.endswith(NAME):
                raise OSError(5, "We encountered an internal error. Please try again.")
            return bytes(catting(self, path, **options))

        monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
        yield store


def folder_of(store: Store) -> StorePath:
    return store.folder / "records" / WHOLE.kind


def test_it_is_told_apart_from_one_that_is_gone(store: Store) -> None:
    assert read_all(folder_of(store), ["gone.json"]) == {}
    (content,) = attempts(folder_of(store), [NAME, "gone.json"]).values()
    assert isinstance(content, OSError)
    with pytest.raises(OSError, match=r"Permission denied|internal error"):
        read_all(folder_of(store), ["gone.json", NAME])


def test_nothing_that_reads_a_store_passes_it_over(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be copied"):
        copy_store(store, Store(tmp_path / "copy"))
    for read in (status_of, read_records):
        with pytest.raises(StoreError, match="cannot be read"):
            read(store.folder)
    if "://" in str(store.folder):
        with pytest.raises(StoreError, match="check network"):
            store.finished([(WHOLE.kind, WHOLE.id)])
        with pytest.raises(StoreError, match="check network"):
            status_of(store.folder)
    else:
        (flaw,) = check_store(store.folder).flaws
        assert "cannot be read" in flaw.what


def test_one_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    other: Record = WHOLE
    store.keep(other)
    assert list(read_all(folder_of(store), [NAME, "gone.json"])) == [NAME]
