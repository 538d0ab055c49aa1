"""``remission store prune`` removes results that no last run asked for, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import pytest

from remission.records import Store, pruning, read_records
from remission.records.pruning import unasked, unasked_snapshots
from remission.records.snapshots import keep_snapshot
from tests.unit.grid.small import (
    LABELS,
    age,
    assert_one_line,
    assert_whole,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)
from tests.unit.records.test_record import WHOLE


def aged(store: Path) -> Path:
    """Returns the store, with files so old that no run is at work on them."""
    age(*(file for file in store.rglob("*") if file.is_file()))
    return store


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """Returns the small spec with other settings of fine-tuning."""
    (tmp_path / "edited").mkdir()
    return write_spec(tmp_path / "edited", ("epochs = 2\naugment", "epochs = 1\naugment"))


def test_what_earlier_settings_left_is_removed(
    store: Path, finished: Path, tmp_path: Path, edited: Path
) -> None:
    assert run(edited, tmp_path / "other").status == 0
    assert run(edited, store).status == 0
    before = snapshot(aged(store))
    told = remission("store", "prune", store, "--dry-run")
    assert told.status == 0
    assert told.lines[-1].startswith("4 of 18 records would be removed with their artefacts, 0.")
    assert snapshot(store) == before
    again = remission("store", "prune", store)
    assert (again.status, again.out) == (0, told.out)
    assert [line.split()[2] for line in again.out.splitlines()] == [
        "badnets/seed0/ft/path",
        "badnets/seed0/ft",
        "badnets/seed0/ft/retuning-0",
        "badnets/seed0/ft/retuning-3",
    ]
    after = snapshot(store)
    assert {file: before[file] for file in after} == after
    gone = sum(len(content) for file, (_, content) in before.items() if file not in after)
    assert again.lines[-1] == (f"4 of 18 records removed with their artefacts, {gone / 1e6:.1f} MB")
    assert results(store) == results(tmp_path / "other")
    assert_whole(store)
    assert computed(run(edited, store)) == []
    assert remission("store", "prune", store).out == ""
    assert remission("store", "gc", aged(store)).out == ""


def test_what_another_spec_asked_for_stays(store: Path, tmp_path: Path, edited: Path) -> None:
    edited.write_text(edited.read_text().replace('name = "small"', 'name = "another"'))
    assert run(edited, store).status == 0
    before = snapshot(aged(store))
    assert remission("store", "prune", store).out == ""
    assert snapshot(store) == before
    (store / "plans" / "small.json").unlink()  # given up
    told = remission("store", "prune", store)
    assert len(told.out.splitlines()) == 4


def test_the_whole_plan_counts_where_a_part_was_asked_for(store: Path, tmp_path: Path) -> None:
    assert run(write_spec(tmp_path), store, "--only", "control/*").status == 0
    assert remission("store", "prune", aged(store)).out == ""


def test_records_of_the_last_hour_stay(store: Path, edited: Path) -> None:
    assert run(edited, store).status == 0
    before = snapshot(store)
    for options in ([], ["--dry-run"]):
        told = remission("store", "prune", store, *options)
        assert (told.status, told.out) == (0, "")
        assert told.lines[-1].startswith("4 records of the last hour were left alone")
    assert snapshot(store) == before


def test_a_run_that_begins_meanwhile_keeps_what_it_asks_for(
    store: Path, finished: Path, tmp_path: Path, edited: Path
) -> None:
    assert run(edited, store).status == 0
    plan = Path("plans") / "small.json"

    def begun(self: Store, *arguments: object, **options: object) -> object:
        removals = list(unasked(self, *arguments, **options))  # type: ignore[arg-type]
        shutil.copy(finished / plan, store / plan)
        return removals

    aged(store)
    with mock.patch.object(pruning, "unasked", begun):
        told = remission("store", "prune", store)
    assert told.out == ""
    assert {record.label for record in read_records(store)} == set(LABELS)


def test_without_a_plan_nothing_is_removed(store: Path) -> None:
    plan = aged(store) / "plans" / "small.json"
    text = plan.read_text()
    for content, words in (
        ("", f"the plan '{plan}' is damaged"),
        ("{}", f"the plan '{plan}' is damaged"),
        (text[: len(text) // 2], f"the plan '{plan}' is damaged"),
        (None, f"the store '{store}' keeps no plans"),
    ):
        plan.unlink() if content is None else plan.write_text(content)
        before = snapshot(store)
        assert_one_line(remission("store", "prune", store), words, "run")
        assert snapshot(store) == before


def test_an_artefact_that_a_needed_record_names_stays(store: Path, edited: Path) -> None:
    """This happens where a user merges two stores by hand."""
    assert run(edited, store).status == 0
    aged(store)
    old, new = sorted(
        (r for r in read_records(store) if r.label == "badnets/seed0/ft"),
        key=lambda record: record.settings["purifier"]["epochs"],
        reverse=True,
    )
    text = new.to_json()
    for artefact, other in zip(new.artefacts.values(), old.artefacts.values(), strict=True):
        text = text.replace(artefact.file, other.file).replace(artefact.sha256, other.sha256)
    (store / "records" / "purified" / f"{new.id}.json").write_text(text)
    assert f"purified     {old.id}" in remission("store", "prune", store).out
    assert all((store / artefact.file).is_file() for artefact in old.artefacts.values())


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_store_in_memory_is_pruned_without_warnings(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/store")
    store.keep(WHOLE)
    store.keep_plan("small", [])
    (removal,) = unasked(store, [WHOLE])
    assert removal.size == len(store.record_file(WHOLE.kind, WHOLE.id).read_bytes())


def test_snapshots_of_trainings_that_nobody_asks_for_go_as_well(store: Path) -> None:
    asked = read_records(store)[0].id
    for identity in (asked, "f" * 16):
        keep_snapshot(store, identity, b"weights")
    (store / "snapshots" / "notes.txt").write_text("mine")
    assert unasked_snapshots(Store(store)) == [], "of the last hour"
    told = remission("store", "prune", aged(store), "--dry-run")
    assert told.out == f"snapshot     {'f' * 16}\n"
    assert "and 1 trainings that were begun" in told.err
    assert len(list((store / "snapshots").iterdir())) == 3
    assert remission("store", "prune", store).out == told.out
    left = sorted(file.name for file in (store / "snapshots").iterdir())
    assert left == sorted([f"{asked}.snapshot", "notes.txt"])
