"""A damaged store: what is damaged is named, and the next run repairs it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.grid.damaging import FT_BRANCH, empty, flip, strip, truncate, without_ft
from tests.unit.grid.small import (
    age,
    assert_whole,
    by_label,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)

MISSING = "the file {} is missing from the store"


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    ("label", "artefact"),
    [
        ("badnets/seed0/victim", "weights"),
        ("badnets/seed0/victim", "trigger"),
        ("badnets/seed0/inversion", "generator"),
    ],
)
def test_a_damaged_artefact_is_named_and_computed_anew(
    store: Path,
    finished: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    label: str,
    artefact: str,
) -> None:
    file = by_label(store)[label].artefacts[artefact].file
    damage(store / file)
    told = remission("store", "verify", store)
    assert told.status == 1
    (line,) = told.out.splitlines()
    assert line.startswith(f"{label}: the file {file} is ")
    assert ", 1 damaged\n" in told.err
    (line,) = remission("store", "verify", store).out.splitlines()
    assert line.startswith(f"{label}: {MISSING.format(file)}; run the spec again")
    told = run(write_spec(tmp_path), store)
    assert (told.status, computed(told)) == (0, [label])
    assert_whole(store)
    assert results(store) == results(finished)


@pytest.mark.parametrize(
    ("label", "artefact", "child", "jobs"),
    [
        ("badnets/seed0/victim", "weights", "badnets/seed0/ft", "1"),
        ("badnets/seed0/victim", "weights", "badnets/seed0/ft", "2"),
        ("badnets/seed0/victim", "trigger", "badnets/seed0/ft/retuning-3", "1"),
        ("control/seed0", "weights", "badnets/seed0/control", "1"),
        ("badnets/seed0/inversion", "generator", "badnets/seed0/pam", "2"),
        ("badnets/seed0/ft", "weights", "badnets/seed0/ft/path", "1"),
    ],
)
def test_a_parent_that_is_found_damaged_when_it_is_loaded_is_computed_anew_by_the_next_run(
    store: Path, finished: Path, tmp_path: Path, label: str, artefact: str, child: str, jobs: str
) -> None:
    records, spec = by_label(store), write_spec(tmp_path)
    file = records[label].artefacts[artefact].file
    flip(store / file)
    assert computed(run(spec, store)) == []  # nobody loads it, so that nobody reads it
    (store / "records" / records[child].kind / f"{records[child].id}.json").unlink()
    told = run(spec, store, "--jobs", jobs)
    assert (told.status, computed(told)) == (2, [])
    assert told.lines[-1].startswith(
        f"remission: the file {file} of '{label}' is damaged (wrong checksum); run the spec again"
    )
    assert label in by_label(store)  # what was measured stays in the tables
    told = run(spec, store, "--jobs", jobs)
    assert (told.status, sorted(computed(told))) == (0, sorted([label, child]))
    assert_whole(store)
    assert results(store) == results(finished)


def test_a_damaged_artefact_that_cannot_be_renamed_is_to_be_removed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = by_label(store)
    file = records["badnets/seed0/victim"].artefacts["weights"].file
    flip(store / file)
    without_ft(store)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", refuse)
    words = (f"the file {file} ", "wrong checksum", "remove it, then run the spec again")
    told = run(write_spec(tmp_path), store)
    assert told.status == 2
    assert all(word in told.lines[-1] for word in words)
    told = remission("store", "verify", store)
    assert told.status == 1
    assert all(word in told.out for word in words)


@pytest.mark.parametrize("damage", [truncate, empty, strip, Path.unlink])
def test_a_damaged_record_is_computed_anew(
    store: Path, finished: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    record = by_label(store)["badnets/seed0/pam"]
    damage(store / "records" / record.kind / f"{record.id}.json")
    told = run(write_spec(tmp_path), store)
    assert (told.status, computed(told)) == (0, ["badnets/seed0/pam"])
    assert results(store) == results(finished)


def test_a_record_of_another_model_in_its_place_is_computed_anew(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    labels = by_label(store)
    for here, there in [("ft", "pam"), ("ft/path", "pam/path"), ("ft", "pam/retuning-3")]:
        it, other = labels[f"badnets/seed0/{here}"], labels[f"badnets/seed0/{there}"]
        shutil.copy(
            store / "records" / it.kind / f"{it.id}.json",
            store / "records" / other.kind / f"{other.id}.json",
        )
    told = run(write_spec(tmp_path), store)
    assert told.status == 0
    assert sorted(computed(told)) == [
        "badnets/seed0/pam",
        "badnets/seed0/pam/path",
        "badnets/seed0/pam/retuning-3",
    ]
    assert results(store) == results(finished)


def test_gc_removes_what_no_record_names_and_nothing_else(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    left = f"{'0' * 16}.weights.safetensors"
    unneeded = [store / "artefacts" / left, store / "records" / "victim" / ".part-1"]
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / left).write_bytes(b"precious")
    (store / "artefacts" / f"{'1' * 16}.weights.safetensors").symlink_to(outside / left)
    (store / "records" / "linked").symlink_to(outside, target_is_directory=True)
    (store / "artefacts" / "notes.txt").write_text("mine")
    for file in unneeded:
        file.write_bytes(b"left over")
    age(*unneeded, store / "artefacts" / "notes.txt", outside / left)
    told = remission("store", "gc", store)
    assert told.status == 0
    assert sorted(told.out.splitlines()) == sorted(map(str, unneeded))
    assert (outside / left).read_bytes() == b"precious"
    assert (store / "artefacts" / "notes.txt").read_text() == "mine"
    assert snapshot(finished).keys() <= snapshot(store).keys()
    assert remission("store", "gc", store).out == ""
    assert computed(run(write_spec(tmp_path), store)) == []


def test_an_artefact_behind_a_link_is_used_if_its_checksum_is_right(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    spec, elsewhere = write_spec(tmp_path), tmp_path / "elsewhere"
    file = store / by_label(store)["badnets/seed0/victim"].artefacts["weights"].file
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    without_ft(store)
    told = run(spec, store)
    assert (told.status, sorted(computed(told))) == (0, sorted(FT_BRANCH))
    assert_whole(store)
    flip(elsewhere)
    damaged = elsewhere.read_bytes()
    assert remission("store", "verify", store).status == 1
    assert computed(run(spec, store)) == ["badnets/seed0/victim"]
    assert (file.is_symlink(), elsewhere.read_bytes()) == (False, damaged)
    assert_whole(store)
    assert results(store) == results(finished)


def test_a_record_that_names_a_file_outside_of_the_store_is_damaged(store: Path) -> None:
    record = by_label(store)["badnets/seed0/victim"]
    text = record.to_json().replace(record.artefacts["weights"].file, "../elsewhere")
    (store / "records" / "victim" / f"{record.id}.json").write_text(text)
    told = remission("table", store)
    assert told.status == 2
    assert "is damaged" in told.err
