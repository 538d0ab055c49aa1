"""A second run computes the results that the store lacks, and nothing else."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from remission.grid.run import run as remission_run
from remission.grid.spec import read_spec
from remission.records.plans import unfinished
from tests.unit.grid.small import (
    FURTHER_PURIFIER,
    LABELS,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)


def test_a_first_run_computes_every_stage_of_the_plan(tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store")
    assert told.status == 0
    assert sorted(computed(told)) == LABELS
    assert f"{len(LABELS)} stages computed, 0 were stored already" in told.err
    assert sorted(results(tmp_path / "store")) == LABELS


def test_a_second_run_computes_nothing(store: Path, tmp_path: Path) -> None:
    before = snapshot(store, "records", "artefacts")
    told = run(write_spec(tmp_path), store)
    assert told.status == 0
    assert computed(told) == []
    assert f"0 stages computed, {len(LABELS)} were stored already" in told.err
    assert snapshot(store, "records", "artefacts") == before


def test_from_python_a_store_is_a_path_or_its_name(store: Path, tmp_path: Path) -> None:
    spec = read_spec(write_spec(tmp_path))
    for place in (store, str(store)):
        outcome = remission_run(spec, place, device="cpu", jobs=1)
        assert sorted(outcome.stored) == LABELS


@pytest.mark.parametrize(
    ("edits", "options"),
    [
        ([('name = "small"', 'name = "another name"')], ()),
        ([("[split]", "# a remark\n[split]")], ()),
        ([("rounds = 2\nepochs = 1", "epochs = 1\nrho = 0.5\nrounds = 2")], ()),
        ([], ("--jobs", "2")),
        ([], ("--device", "auto")),
        ([], ("--quiet",)),
        ([], ("--only", "badnets/*")),
    ],
    ids=["name", "remark", "order and defaults", "jobs", "device", "quiet", "only"],
)
def test_what_changes_no_result_computes_nothing(
    store: Path, tmp_path: Path, edits: list[tuple[str, str]], options: tuple[str, ...]
) -> None:
    before = snapshot(store, "records", "artefacts")
    told = run(write_spec(tmp_path, *edits), store, *options)
    assert told.status == 0
    assert computed(told) == []
    assert snapshot(store, "records", "artefacts") == before


def test_a_further_purifier_computes_its_own_branch_alone(store: Path, tmp_path: Path) -> None:
    before = snapshot(store, "records", "artefacts")
    told = run(write_spec(tmp_path, more=FURTHER_PURIFIER), store)
    assert told.status == 0
    assert sorted(computed(told)) == [
        "badnets/seed0/ep",
        "badnets/seed0/ep/path",
        "badnets/seed0/ep/retuning-0",
        "badnets/seed0/ep/retuning-3",
    ]
    after = snapshot(store, "records", "artefacts")
    assert {file: after[file] for file in before} == before


def test_a_further_budget_computes_its_own_cells_alone(store: Path, tmp_path: Path) -> None:
    told = run(write_spec(tmp_path, ("budgets = [0, 3]", "budgets = [0, 1, 3]")), store)
    assert told.status == 0
    assert sorted(computed(told)) == [
        "badnets/seed0/control/retuning-1",
        "badnets/seed0/ft/retuning-1",
        "badnets/seed0/pam/retuning-1",
    ]


def test_only_computes_what_matches_what_that_builds_upon_and_the_control(tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store", "--only", "*/ft/retuning-3")
    assert told.status == 0
    wanted = ["control/seed0", "badnets/seed0/victim", "badnets/seed0/control"]
    wanted += ["badnets/seed0/control/retuning-3"]
    wanted += ["badnets/seed0/ft", "badnets/seed0/ft/retuning-3"]
    assert sorted(computed(told)) == sorted(wanted)
    assert sorted(results(tmp_path / "store")) == sorted(wanted)
    missing = f'{len(LABELS) - len(wanted)} of {len(LABELS)} stages of "small" are not computed'
    told = remission("table", tmp_path / "store")
    rest = "run the spec again, or remove its file in plans/ if you no longer use it"
    assert (told.status, told.err) == (0, f"remission: {missing}; {rest}\n")
    page = tmp_path / "page.html"
    assert remission("report", tmp_path / "store", "-o", page).status == 0
    assert missing in html.unescape(page.read_text())


def test_a_whole_store_and_records_in_git_miss_nothing(finished: Path, tmp_path: Path) -> None:
    assert unfinished(finished) == []
    assert unfinished(tmp_path) == []
    assert remission("table", finished).err == ""
    (plan,) = (finished / "plans").iterdir()
    copied = tmp_path / "plans" / plan.name
    copied.parent.mkdir()
    copied.write_text(plan.read_text())
    assert unfinished(tmp_path) == [
        f'{len(LABELS)} of {len(LABELS)} stages of "small" are not computed'
    ]
    for text in ("", "[]", '{"name": "small"}', '{"name": "small", "stages": 5}'):
        copied.write_text(text)
        assert unfinished(tmp_path) == []


def test_one_process_and_two_give_the_same_records(finished: Path, tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store", "--jobs", "2")
    assert told.status == 0
    assert sorted(computed(told)) == LABELS
    assert results(tmp_path / "store") == results(finished)


def test_the_same_spec_gives_the_same_records_in_another_store(
    finished: Path, tmp_path: Path
) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store", "--only", "*/pam*")
    assert told.status == 0
    again, first = results(tmp_path / "store"), results(finished)
    assert again == {label: first[label] for label in again}
