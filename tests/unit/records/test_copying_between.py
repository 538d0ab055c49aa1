"""A copy into a store that a run is at work on, and a copy of damaged specs and plans."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from remission.records import Record, Store, read_record
from remission.records.copying import copy_store
from remission.records.places import read_all
from remission.records.record import Artefact
from tests.unit.records.test_record import WHOLE

FAILED = replace(WHOLE, status="failed", error="RuntimeError: out of luck")
LATER = replace(FAILED, error="RuntimeError: out of luck again")


def status_in(store: Store) -> Record:
    return read_record(store.record_file(WHOLE.kind, WHOLE.id))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (FAILED, WHOLE, WHOLE),
        (LATER, FAILED, FAILED),
        (WHOLE, FAILED, WHOLE),
        (replace(WHOLE, seconds=3.0), WHOLE, WHOLE),
        (FAILED, None, FAILED),
    ],
)
def test_what_a_run_wrote_meanwhile_is_replaced_by_nothing_worse(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: Record,
    target: Record | None,
    expected: Record,
) -> None:
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    ours.keep(source)

    def meanwhile(folder: Path, names: list[str]) -> dict[str, bytes]:
        if target is not None:
            theirs.keep(target)
        return read_all(folder, names)

    monkeypatch.setattr("remission.records.copying.read_all", meanwhile)
    report = copy_store(ours, theirs)
    assert status_in(theirs) == expected
    assert report.records == (expected == source)
    assert report.there == (expected != source)


def test_a_failure_does_not_replace_a_result_whose_artefact_was_set_aside(tmp_path: Path) -> None:
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    ours.keep(FAILED)
    lost = Artefact(file="artefacts/lost.safetensors", sha256="0" * 64, bytes=3)
    theirs.keep(replace(WHOLE, artefacts={"weights": lost}))
    copy_store(ours, theirs)
    assert status_in(theirs).status == "done"


def test_damaged_specs_and_plans_stay_behind_and_are_named(tmp_path: Path) -> None:
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    ours.keep(WHOLE)
    for name in ("whole", "damaged"):
        ours.keep_spec(name, "{}")
        ours.keep_plan(name, [("victim", "0" * 16)])
    digest = hashlib.sha256(b"{}").hexdigest()[:8]
    damaged = [f"specs/damaged-{digest}.json", "plans/damaged.json"]
    for name in damaged:
        file = ours.folder / name
        file.write_text(file.read_text() + " ")
    report = copy_store(ours, theirs)
    assert [flaw.file for flaw in report.flaws] == damaged
    copied = {str(file.relative_to(theirs.folder)) for file in theirs.folder.glob("[sp]*/*.json")}
    assert copied == {f"specs/whole-{digest}.json", "plans/whole.json"}
