"""A store with folders behind links works like one without links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.grid.damaging import FT_BRANCH, flip, without_ft
from tests.unit.grid.small import (
    age,
    assert_one_line,
    assert_whole,
    by_label,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)

LINKED = ["artefacts", "records", "records/purified", "plans", "specs", ""]
"""Folders of a store that lie behind a link; "" is the store itself."""
OTHERS = f"{'0' * 16}.weights.safetensors"


def moved(store: Path, place: str, goal: Path) -> Path:
    """Moves a folder of a store, or the store, to ``goal`` and leaves a link in its place."""
    folder = store / place
    shutil.move(folder, goal)
    folder.symlink_to(goal, target_is_directory=True)
    return goal


@pytest.mark.parametrize(
    ("place", "jobs"), [(place, "2" if place in ("artefacts", "") else "1") for place in LINKED]
)
def test_a_folder_behind_a_link_is_read_and_written(
    store: Path, finished: Path, tmp_path: Path, place: str, jobs: str
) -> None:
    goal, spec = moved(store, place, tmp_path / "disk"), write_spec(tmp_path)
    assert computed(run(spec, store)) == []
    assert results(store) == results(finished)
    assert remission("table", store).out == remission("table", finished).out
    without_ft(store)
    told = run(spec, store, "--jobs", jobs)
    assert (told.status, sorted(computed(told))) == (0, sorted(FT_BRANCH))
    assert (store / place).is_symlink()
    assert snapshot(goal).keys() == snapshot(finished / place).keys()
    assert_whole(store)
    assert results(store) == results(finished)


def test_pictures_behind_a_link_are_shown(store: Path, finished: Path, tmp_path: Path) -> None:
    moved(store, "artefacts", tmp_path / "disk")
    pages = [tmp_path / "linked.html", tmp_path / "whole.html"]
    for folder, page in zip((store, finished), pages, strict=True):
        assert remission("report", folder, "-o", page).status == 0
    assert "data:image/png" in pages[1].read_text()
    assert pages[0].read_text() == pages[1].read_text()


def test_a_store_made_behind_links_is_run_into(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (tmp_path / "disk").mkdir()
    assert run(write_spec(tmp_path), store, "--only", "control/*").status == 0
    shutil.rmtree(store / "artefacts")
    (store / "artefacts").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert run(write_spec(tmp_path), store).status == 0
    assert_whole(store)
    assert results(store) == results(finished)
    assert snapshot(tmp_path / "disk").keys() == snapshot(finished / "artefacts").keys()


@pytest.mark.parametrize("place", [*LINKED, "records/victim"])
def test_a_link_that_leads_nowhere_is_refused_before_anything_is_computed(
    store: Path, tmp_path: Path, place: str
) -> None:
    moved(store, place, tmp_path / "disk")
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    spec = write_spec(tmp_path)
    before = snapshot(tmp_path)
    words = (f"link to '{tmp_path / 'disk'}', which does not exist", "attach the disk")
    assert_one_line(run(spec, store), *words)
    assert_one_line(remission("store", "gc", store), *(words if place else ("there is no store",)))
    assert snapshot(tmp_path) == before


def test_a_file_in_place_of_a_folder_is_refused_before_anything_is_computed(
    store: Path, tmp_path: Path
) -> None:
    shutil.rmtree(store / "artefacts")
    (store / "artefacts").write_text("a file")
    told = run(write_spec(tmp_path), store)
    assert_one_line(told, f"'{store / 'artefacts'}' cannot be written")


def test_a_folder_that_may_not_be_written_is_refused_before_anything_is_computed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = moved(store, "artefacts", tmp_path / "disk")
    monkeypatch.setattr(os, "access", lambda place, _: Path(place).resolve() != disk)
    without_ft(store)
    before = snapshot(store, "records", "artefacts")
    told = run(write_spec(tmp_path), store)
    assert_one_line(told, f"'{store / 'artefacts'}' cannot be written", "check its permissions")
    assert snapshot(store, "records", "artefacts") == before


@pytest.fixture
def disk(store: Path, tmp_path: Path) -> Path:
    """Returns the folder behind the artefacts of a store whose last run left out fine-tuning.

    It holds a file of another store too, which shares it.
    """
    disk = moved(store, "artefacts", tmp_path / "disk")
    (disk / OTHERS).write_bytes(b"weights")
    without = write_spec(
        tmp_path,
        (
            '\n[[purifier]]\nmethod = "ft"\nepochs = 2\n',
            "\n[[purifier]]\nmethod = 'pam'\nrho = 0.3\nepochs = 2\n",
        ),
    )
    assert run(without, store).status == 0
    age(*(file for file in (*store.rglob("*"), *disk.iterdir()) if file.is_file()))
    return disk


@pytest.mark.parametrize("command", ["gc", "prune"])
def test_nothing_behind_a_linked_folder_is_removed_unless_this_is_asked_for(
    store: Path, disk: Path, command: str
) -> None:
    before = snapshot(disk)
    told = remission("store", command, store)
    assert told.status == 0
    assert snapshot(disk) == before
    assert f"'{store / 'artefacts'}' lies behind a link and was left alone" in told.err
    told = remission("store", "gc", store, "--follow-links")
    assert told.status == 0
    assert str(store / "artefacts" / OTHERS) in told.out.splitlines()
    assert "left alone" not in told.err
    assert_whole(store)


def test_prune_removes_what_no_run_asks_for_behind_links_where_this_is_asked_for(
    store: Path, disk: Path
) -> None:
    labels, before = by_label(store), snapshot(disk)
    told = remission("store", "prune", store, "--follow-links")
    assert told.status == 0
    assert "left alone" not in told.err
    files = [artefact.file for label in FT_BRANCH for artefact in labels[label].artefacts.values()]
    assert before.keys() - snapshot(disk).keys() == {Path(file).name for file in files}
    assert_whole(store)


def test_writing_leaves_alone_what_a_link_or_another_hard_link_leads_to(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    labels, contents = by_label(store), dict[Path, bytes]()
    for label in ("badnets/seed0/victim", "badnets/seed0/ft"):
        file = store / labels[label].artefacts["weights"].file
        flip(file)
        other = tmp_path / file.name
        if label == "badnets/seed0/ft":
            other.hardlink_to(file)
        else:
            file.rename(other)
            file.symlink_to(other)
        contents[other] = other.read_bytes()
    assert remission("store", "verify", store).status == 1
    assert run(write_spec(tmp_path), store).status == 0
    assert_whole(store)
    assert results(store) == results(finished)
    assert {other: other.read_bytes() for other in contents} == contents


def test_parts_of_a_run_that_was_ended_are_removed_behind_links_too(
    store: Path, tmp_path: Path
) -> None:
    from remission.records import Store

    for place in ("artefacts", "records/purified"):
        moved(store, place, tmp_path / place.replace("/", "-"))
    opened = Store(store, writer="mine")
    parts = [store / place / ".part-mine-1" for place in ("", "artefacts", "records/purified")]
    others = [part.with_name(".part-theirs-1") for part in parts]
    for file in (*parts, *others):
        file.touch()
    opened.drop_parts()
    assert [file.exists() for file in parts] == [False] * 3
    assert [file.exists() for file in others] == [True] * 3
