"""A copy of a store holds what the other had, and nothing that is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from remission.records.sealing import sealed_json, unsealed
from tests.unit.grid.small import (
    FURTHER_PURIFIER,
    assert_one_line,
    by_label,
    computed,
    remission,
    results,
    run,
    snapshot,
    write_spec,
)


def test_only_what_is_missing_is_copied(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    told = remission("store", "copy", store, copy)
    assert told.status == 0, told
    assert f"{len(by_label(store))} records copied" in told.err
    assert results(copy) == results(store)
    assert remission("store", "verify", copy).status == 0
    before = snapshot(copy, "records", "artefacts")
    told = remission("store", "copy", store, copy)
    assert "0 records copied with their artefacts, 0.0 MB" in told.err
    assert snapshot(copy, "records", "artefacts") == before
    assert run(write_spec(tmp_path, more=FURTHER_PURIFIER), store).status == 0
    told = remission("store", "copy", store, copy)
    new = sum("/ep" in label for label in by_label(store))
    assert f"{new} records copied" in told.err
    assert results(copy) == results(store)
    assert computed(run(write_spec(tmp_path, more=FURTHER_PURIFIER), copy)) == []


def test_what_is_damaged_stays_behind_and_is_named(store: Path, tmp_path: Path) -> None:
    records = by_label(store)
    ft, pam = records["badnets/seed0/ft"], records["badnets/seed0/pam"]
    weights = store / ft.artefacts["weights"].file
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    damaged = store / "records" / "purified" / f"{pam.id}.json"
    damaged.write_text(damaged.read_text().replace('"done"', '"dune"'))
    before = snapshot(store)
    told = remission("store", "copy", store, tmp_path / "copy")
    assert told.status == 1
    assert len(told.out.splitlines()) == 2
    assert ft.artefacts["weights"].file in told.out
    assert damaged.name in told.out
    assert snapshot(store) == before
    assert remission("store", "verify", tmp_path / "copy").status == 0
    again = run(write_spec(tmp_path), tmp_path / "copy")
    assert sorted(computed(again)) == ["badnets/seed0/ft", "badnets/seed0/pam"]


def test_a_copy_that_was_interrupted_is_finished(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    record = by_label(store)["badnets/seed0/ft"]
    (copy / "records" / "purified" / f"{record.id}.json").unlink()
    (copy / record.artefacts["weights"].file).write_bytes(b"half")
    told = remission("store", "copy", store, copy)
    assert "1 records copied" in told.err
    assert results(copy) == results(store)
    assert remission("store", "verify", copy).status == 0


def test_there_must_be_something_to_copy(tmp_path: Path) -> None:
    told = remission("store", "copy", tmp_path / "nowhere", tmp_path / "copy")
    assert_one_line(told, "there is no store at")
    assert not (tmp_path / "copy").exists()


def test_a_later_run_takes_its_plan_and_its_versions_along(store: Path, tmp_path: Path) -> None:
    """The copy is older: the plan and the versions of methods of the newer run count there."""
    copy, versions = tmp_path / "copy", "versions.json"
    assert remission("store", "copy", store, copy).status == 0
    assert run(write_spec(tmp_path, more=FURTHER_PURIFIER), store).status == 0
    known = json.loads(unsealed((store / versions).read_text()))
    method = next(iter(known))
    (store / versions).write_text(sealed_json({**known, method: "newer"}))
    assert remission("store", "copy", store, copy).status == 0
    assert json.loads(unsealed((copy / versions).read_text()))[method] == "newer"
    plan = Path("plans", "small.json")
    assert (copy / plan).read_bytes() == (store / plan).read_bytes()
    (copy / versions).write_text(sealed_json({**known, method: "newest"}))
    assert run(write_spec(tmp_path, more=FURTHER_PURIFIER), copy).status == 0
    later = (copy / plan).read_bytes()
    assert remission("store", "copy", store, copy).status == 0
    assert (copy / plan).read_bytes() == later
    assert json.loads(unsealed((copy / versions).read_text()))[method] != "newer"
