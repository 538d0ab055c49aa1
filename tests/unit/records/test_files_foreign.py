"""Files in a store that remission did not write are named once and ignored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.records import Store, read_records
from remission.records.sealing import unsealed
from tests.unit.grid.small import (
    age,
    assert_one_line,
    by_label,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)

NAMES = [
    "._{}",  # macOS, on disks of other systems
    "{stem} (1){suffix}",  # Dropbox, browsers
    "{stem} - Copy{suffix}",
    "{stem}-DESKTOP-1A2B{suffix}",  # OneDrive
    "{stem}.sync-conflict-20260101-120000-ABCDEFG{suffix}",  # Syncthing
    "{}~",
    ".{}.swp",
    "#{}#",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "notes.txt",
]
"""Names that other programs give to copies of a file, and names of files of their own."""

PLACES = ["records/victim", "records", "artefacts", "plans"]


def other_file(file: Path, name: str) -> Path:
    return file.with_name(name.format(file.name, stem=file.stem, suffix=file.suffix))


def a_file_in(store: Path, place: str) -> Path:
    victim = by_label(store)["badnets/seed0/victim"]
    if place == "artefacts":
        return store / victim.artefacts["weights"].file
    return (
        store
        / {
            "records/victim": f"records/victim/{victim.id}.json",
            "records": "records/victim.json",
            "plans": "plans/small.json",
        }[place]
    )


def garbled(file: Path, goal: Path) -> None:
    del file
    goal.write_bytes(b"\x00\x05\x16\x07 no JSON")


def copied(file: Path, goal: Path) -> None:
    if file.is_file():
        shutil.copy(file, goal)
    else:
        goal.write_bytes(b"")


def a_folder(file: Path, goal: Path) -> None:
    del file
    goal.mkdir()


@pytest.mark.parametrize("make", [garbled, copied, a_folder])
@pytest.mark.parametrize("place", PLACES)
def test_files_of_other_programs_are_named_once_and_passed_over(
    store: Path,
    finished: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], None],
    place: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = a_file_in(store, place)
    others = [other_file(file, name) for name in NAMES]
    if place == "plans":  # a plan may have such a name; its content says that it is a copy
        others.remove(file.with_name("small-DESKTOP-1A2B.json"))
    for other in others:
        make(file, other)
    page = tmp_path / "page.html"
    commands = (["table"], ["report", "-o", page], ["store", "verify"], ["store", "gc"])
    for command in (*commands, ["store", "prune"]):
        told = remission(*command, store)
        assert told.status == 0, told
    assert [record.getMessage() for record in caplog.records] == [
        f"passed over {len(others)} files that are none of the store's in '{store}': "
        f"{', '.join(repr(str(o.relative_to(store))) for o in sorted(others)[:5])} "
        f"and {len(others) - 5} more"
    ]
    assert remission("table", store).out == remission("table", finished).out
    assert all(other.exists() for other in others)
    assert computed(run(write_spec(tmp_path), store)) == []
    assert results(store) == results(finished)


def test_a_copy_of_a_plan_says_nothing_of_what_is_missing(store: Path, tmp_path: Path) -> None:
    text = unsealed((store / "plans" / "small.json").read_text()).replace("victim/", "victim/0")
    (store / "plans" / "small-DESKTOP-1A2B.json").write_text(text)
    assert remission("table", store).err == ""
    assert remission("store", "prune", store).status == 0
    del tmp_path


def test_a_damaged_record_is_an_error_whatever_lies_beside_it(store: Path) -> None:
    file = a_file_in(store, "records/victim")
    garbled(file, other_file(file, NAMES[0]))
    garbled(file, file)
    assert_one_line(remission("table", store), f"the record {file} is damaged")


def test_records_outside_of_a_store_are_read_among_other_files(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(finished / "records", tmp_path / "some"))
    (folder / "victim" / "._x.json").write_bytes(b"\xff")
    (folder / "settings.json").write_text("{}")
    (folder / "README.md").write_text("what this is")
    assert read_records(folder) == read_records(finished)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("'settings.json', 'victim/._x.json'")


@pytest.mark.parametrize("name", [".DS_Store", "._x", "Thumbs.db", "lost+found"])
def test_a_folder_with_nothing_but_litter_becomes_a_store(tmp_path: Path, name: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / name).touch()
    Store(tmp_path / "disk")
    assert sorted(snapshot(tmp_path / "disk")) == sorted([name, "remission-store.json"])


def test_gc_leaves_them_alone(store: Path) -> None:
    file = a_file_in(store, "artefacts")
    others = [other_file(file, name) for name in NAMES]
    for other in others:
        garbled(file, other)
    age(*others)
    told = remission("store", "gc", store)
    assert (told.status, told.out) == (0, "")
    assert all(other.exists() for other in others)
