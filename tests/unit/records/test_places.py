"""A store behind a network, or in memory, is used as a folder is."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import Store, read_records
from remission.records.places import create, place_of, read_all, size_of, sizes_in, write
from tests.unit.grid.small import (
    LABELS,
    assert_one_line,
    by_label,
    computed,
    remission,
    results,
    run,
    write_spec,
)
from tests.unit.records.remote import s3_server


@pytest.fixture(params=["folder", "memory", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Yields the address of a store that does not exist yet."""
    monkeypatch.setenv("REMISSION_ARTEFACTS", str(tmp_path / "cache"))
    if request.param == "folder":
        yield str(tmp_path / "store")
    elif request.param == "memory":
        yield f"memory://{uuid.uuid4().hex}/store"
    else:
        with s3_server(monkeypatch) as bucket:
            yield f"{bucket}/deep/store"


def test_the_same_operations(place: str) -> None:
    root = place_of(place)
    write(root / "a" / "one", b"1")
    write(root / "a" / "two", b"22")
    write(root / "a" / "two", b"222")
    assert sizes_in(root / "a") == {"one": 1, "two": 3}
    assert sizes_in(root / "nothing") == {}
    assert read_all(root / "a", ["one", "two", "three"]) == {"one": b"1", "two": b"222"}
    assert read_all(root / "a", ["two"]) == {"two": b"222"}
    assert (size_of(root / "a" / "two"), size_of(root / "a" / "three")) == (3, None)
    assert size_of(root / "a") is None
    assert create(root / "b", b"mine")
    assert not create(root / "b", b"theirs")
    assert (root / "b").read_bytes() == b"mine"


def test_a_grid_runs_and_a_second_run_computes_nothing(
    place: str, finished: Path, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path)
    told = remission("run", spec, "--store", place, "--device", "cpu", "--jobs", "1")
    assert told.status == 0, told
    assert sorted(computed(told)) == LABELS
    told = remission("run", spec, "--store", place, "--device", "cpu", "--jobs", "1")
    assert (told.status, computed(told)) == (0, [])
    found = {record.label: record for record in read_records(place)}
    for label, record in by_label(finished).items():
        assert found[label].artefacts == record.artefacts, "the same weights, bit for bit"
    assert remission("store", "verify", place).status == 0
    table = remission("table", place, "--view", "paths", "--format", "csv")
    assert table.out == remission("table", finished, "--view", "paths", "--format", "csv").out
    told = remission("report", place, "-o", tmp_path / "page.html")
    assert told.status == 0, told
    assert "data:image/png" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert remission("store", "gc", place).status == 0
    assert remission("store", "prune", place, "--dry-run").status == 0


def test_what_is_missing_or_damaged_is_computed_anew(place: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    run(spec, place)
    root = place_of(place)
    records = {record.label: record for record in read_records(root)}
    ft, pam = records["badnets/seed0/ft"], records["badnets/seed0/pam"]
    weights = root / ft.artefacts["weights"].file
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    write(weights, bytes(content))
    (root / "records" / "purified" / f"{pam.id}.json").unlink()
    told = remission("store", "verify", place)
    assert (told.status, told.out.splitlines()) == (
        1,
        [
            f"badnets/seed0/ft: the file {ft.artefacts['weights'].file} is damaged "
            "(wrong checksum); run the spec again, which computes it anew"
        ],
    )
    assert sorted(computed(run(spec, place))) == ["badnets/seed0/ft", "badnets/seed0/pam"]
    assert remission("store", "verify", place).status == 0


def test_a_place_that_holds_other_files_is_refused(place: str) -> None:
    write(place_of(place) / "holiday.jpg", b"")
    with pytest.raises(StoreError, match="not empty and no store"):
        Store(place)


@pytest.mark.claims
def test_processes_share_the_work_behind_s3(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMISSION_ARTEFACTS", str(tmp_path / "cache"))
    with s3_server(monkeypatch) as bucket:
        told = run(write_spec(tmp_path), f"{bucket}/store", "--jobs", "2")
        assert told.status == 0, told
        assert remission("store", "copy", f"{bucket}/store", tmp_path / "copy").status == 0
    assert results(tmp_path / "copy") == results(finished)
    fetched = {file.name for file in (tmp_path / "cache").iterdir()}
    assert fetched <= {a.sha256 for r in read_records(finished) for a in r.artefacts.values()}
    assert fetched, "each process reads an artefact from here when one has fetched it"


def test_memory_is_no_place_for_several_processes(tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), "memory://x", "--jobs", "2")
    assert_one_line(told, "other processes do not see", "--jobs 1")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("http://example.org/store", "a store cannot lie at"),
        ("gs://bucket/store", "name a folder, or an s3:// or memory:// address"),
        ("s3://no-such-bucket/store", "cannot be"),
    ],
)
def test_an_address_that_cannot_be_used(
    where: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(monkeypatch):
        assert_one_line(run(write_spec(tmp_path), where), words)


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(monkeypatch) as bucket:
        pass
    monkeypatch.setattr("remission.records.places._OPTIONS", {"s3": {"config_kwargs": FAST}})
    told = run(write_spec(tmp_path), f"{bucket}/store")
    assert_one_line(told, "cannot be opened", "Could not connect")


def test_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(monkeypatch) as bucket:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        told = run(write_spec(tmp_path), f"{bucket}/store")
        assert_one_line(told, "cannot be opened", "credentials")


FAST = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 0}}


def test_a_folder_may_be_named_by_an_address(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "store")
    assert place_of(f"file://{tmp_path}/store") == tmp_path / "store"
    assert remission("store", "verify", f"file://{tmp_path}/store").status == 0
