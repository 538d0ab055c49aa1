"""A server or a disk that fails costs one line, and nothing that was computed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remission.grid.stages import execute
from remission.records import Store, read_records
from tests.unit.grid.small import (
    LABELS,
    assert_one_line,
    by_label,
    computed,
    finish,
    remission,
    results,
    run,
    start,
    write_spec,
)
from tests.unit.records.remote import misbehaving

FAST = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 0}}


def test_a_server_that_fails_three_times_is_asked_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {"PUT": 3, "GET": 3}

    def flaky(request: object) -> bool:
        command = request.command  # type: ignore[attr-defined]
        if left.get(command, 0) and "records" in request.path:  # type: ignore[attr-defined]
            left[command] -= 1
            return bool(request.answer(500, "InternalError"))  # type: ignore[attr-defined]
        return False

    record = by_label(finished)["badnets/seed0/pam"]
    with misbehaving(monkeypatch, flaky) as bucket:
        store = Store(f"{bucket}/store")
        store.keep(record)
        assert read_records(f"{bucket}/store") == [record]
        assert left == {"PUT": 0, "GET": 0}


def test_a_server_that_refuses_costs_one_line_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing, allowed = [False], list[bool]()
    monkeypatch.setenv("REMISSION_ARTEFACTS", str(tmp_path / "cache"))

    def refuses(request: object) -> bool:
        path = request.path  # type: ignore[attr-defined]
        refusing[0] |= request.command == "PUT" and "artefacts" in path  # type: ignore[attr-defined]
        return refusing[0] and not allowed and bool(request.answer(403, "AccessDenied"))  # type: ignore[attr-defined]

    with misbehaving(monkeypatch, refuses) as bucket:
        told = run(write_spec(tmp_path), f"{bucket}/store")
        assert told.status == 2
        assert "cannot be written" in told.lines[-1]
        assert "Traceback" not in told.err
        allowed.append(True)
        again = run(write_spec(tmp_path), f"{bucket}/store")
        assert again.status == 0, again


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleeps(request: object) -> bool:
        time.sleep(3)
        return True

    monkeypatch.setattr("remission.records.places._OPTIONS", {"s3": {"config_kwargs": FAST}})
    with misbehaving(monkeypatch, sleeps) as bucket:
        told = run(write_spec(tmp_path), f"{bucket}/store")
    assert_one_line(told, "cannot be opened", "check network")


@pytest.mark.parametrize("jobs", [pytest.param("1", marks=pytest.mark.claims), "2"])
def test_a_store_that_is_removed_in_the_middle(
    finished: Path, tmp_path: Path, jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path)
    over = threading.Event()

    def remove() -> None:
        while not list(store.glob("records/victim/*.json")) and not over.wait(0.01):
            pass
        store.rename(tmp_path / "away")

    remover = threading.Thread(target=remove)
    remover.start()
    told = finish(start(["run", spec, "--store", store, "--device", "cpu", "--jobs", jobs]), 120)
    over.set()
    remover.join()
    assert told.status == 2, told
    assert told.lines[-1].startswith("remission: ")
    assert "Traceback" not in told.err
    assert not store.exists(), "no half of a store grows in its place"
    (tmp_path / "away").rename(store)
    again = run(spec, store)
    assert again.status == 0, again
    assert results(store) == results(finished)
    assert remission("store", "verify", store).status == 0
    del monkeypatch


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mounts a file system of 200 KiB, where that is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if sys.platform != "linux" or not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("nothing can be mounted here")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.claims)])
def test_a_disk_that_is_full(small_disk: Path, tmp_path: Path, jobs: str) -> None:
    store, spec = small_disk / "store", write_spec(tmp_path)
    told = run(spec, store, "--jobs", jobs)
    assert told.status == 2, told
    assert "no space left for" in told.lines[-1] or "cannot be written" in told.lines[-1]
    assert "Traceback" not in told.err
    kept = len(by_label(store)) if list(store.glob("records/*/*.json")) else 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = run(spec, store)
    assert again.status == 0, again
    assert len(computed(again)) == len(LABELS) - kept


def test_a_clock_that_steps_back(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = iter(range(2040, 1990, -1))
    monkeypatch.setattr(execute, "_now", lambda: f"{next(years)}-01-01T00:00:00+00:00")
    told = run(write_spec(tmp_path), tmp_path / "store")
    assert told.status == 0, told
    assert results(tmp_path / "store") == results(finished)
    assert computed(run(write_spec(tmp_path), tmp_path / "store")) == []
    assert remission("status", tmp_path / "store").status == 0
    assert remission("table", tmp_path / "store").status == 0


def test_two_versions_of_the_code_do_not_mix(store: Path, tmp_path: Path) -> None:
    """Another version has other identities where it computes otherwise; both stay in the store."""
    from remission.purifiers import FT

    before = len(list(store.glob("records/purified/*.json")))
    patched = pytest.MonkeyPatch()
    patched.setattr(FT, "version", 99, raising=False)
    try:
        told = run(write_spec(tmp_path), store)
        assert told.status == 0, told
        assert computed(told)[0] == "badnets/seed0/ft"
    finally:
        patched.undo()
    assert len(list(store.glob("records/purified/*.json"))) == before + 1
    assert computed(run(write_spec(tmp_path), store)) == []
