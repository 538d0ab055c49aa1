"""A full disk, and folders that are no store: nothing is lost, nothing of others is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.unit.grid.damaging import FullDisk
from tests.unit.grid.small import (
    LABELS,
    assert_whole,
    computed,
    finish,
    remission,
    results,
    run,
    snapshot,
    start,
    write_spec,
)


@pytest.mark.parametrize(
    ("files", "number"),
    [
        (0, errno.ENOSPC),  # not even the mark of the store
        (1, errno.ENOSPC),
        (4, errno.ENOSPC),
        (20, errno.ENOSPC),
        (7, errno.EDQUOT),
        (2, errno.EFBIG),
    ],
)
def test_a_full_disk_keeps_everything_finished(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, number: int
) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(files, number))
        told = run(spec, store)
    assert told.status == 2
    complaint = told.lines[-1]
    assert complaint.startswith("remission: no space left for '")
    assert complaint.endswith("then run again: everything finished is kept")
    assert "Traceback" not in told.err
    assert_whole(store)
    kept = len(list(store.rglob("records/*/*.json")))
    told = run(spec, store)
    assert told.status == 0
    assert len(computed(told)) == len(LABELS) - kept
    assert results(store) == results(finished)


def test_a_disk_that_breaks_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", FullDisk(3, errno.EIO))
    told = run(write_spec(tmp_path), tmp_path / "store")
    assert told.status == 2
    assert told.lines[-1].startswith(f"remission: '{tmp_path / 'store'}")
    assert f"cannot be written ([Errno {errno.EIO}]" in told.lines[-1]


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
if __name__ == "__main__":
    from remission.cli import main
    main()
"""


def test_a_file_that_the_system_refuses_to_grow_in_a_worker(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="there is no limit on the size of files here")
    script, store, spec = tmp_path / "limited.py", tmp_path / "store", write_spec(tmp_path)
    script.write_text(LIMITED.format(limit=8192), encoding="utf-8")  # weights take more than that
    told = finish(start(["run", spec, "--store", store, "--jobs", "2"], script=script))
    assert told.status == 2, told.err
    assert told.lines[-1].startswith(f"remission: no space left for '{store}")
    assert "Traceback" not in told.err
    assert_whole(store)
    assert not list(store.rglob("artefacts/*"))


def test_a_folder_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "photo.png").write_bytes(b"not ours")
    before = snapshot(folder)
    told = run(write_spec(tmp_path), folder)
    assert told.status == 2
    assert told.lines == [
        f"remission: the folder '{folder}' is not empty and no store; "
        "name a new folder, or one that `remission run` made"
    ]
    assert snapshot(folder) == before


@pytest.mark.parametrize("mark", ["", "x", "[]", "null", "3", '{"format": 2}', "{}"])
def test_a_store_of_another_kind_is_refused(store: Path, tmp_path: Path, mark: str) -> None:
    (store / "remission-store.json").write_text(mark, encoding="utf-8")
    before = snapshot(store)
    newer = mark == '{"format": 2}'
    place = store if newer else store / "remission-store.json"
    says = f"'{place}' {'was made by a newer remission' if newer else 'is damaged'}"
    told = run(write_spec(tmp_path), store)
    assert told.status == 2
    assert says in told.lines[0]
    verified = remission("store", "verify", store)
    assert verified.status == (2 if newer else 1)
    assert says in verified.err + verified.out
    assert snapshot(store) == before
