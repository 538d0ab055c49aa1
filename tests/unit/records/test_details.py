"""Details of records are read as dataclasses and written back as the files hold them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Record, read_records
from remission.records.details import (
    ControlDetails,
    Details,
    InnocentDetails,
    InversionDetails,
    PathDetails,
    PurifiedDetails,
    ReactivatedDetails,
    StealthDetails,
    VictimDetails,
)
from remission.records.ensemble import EnsembleDetails
from remission.records.transfer import TransferDetails

RESULTS = Path(__file__).parents[3] / "results"
STORES = sorted(folder for folder in RESULTS.iterdir() if (folder / "records").is_dir())
CLASSES: dict[str, type[Details]] = {
    "victim": VictimDetails,
    "control": ControlDetails,
    "inversion": InversionDetails,
    "purified": PurifiedDetails,
    "innocent": InnocentDetails,
    "reactivated": ReactivatedDetails,
    "path": PathDetails,
    "transfer": TransferDetails,
    "ensemble": EnsembleDetails,
}
"""Kind -> the class of its details; a baseline has none."""


def text(details: Any) -> str:  # noqa: ANN401
    return json.dumps(details, sort_keys=True)


@pytest.mark.parametrize("folder", STORES, ids=lambda folder: folder.name)
def test_details_in_git_are_read_and_written_back_equal(folder: Path) -> None:
    for record in read_records(folder, superseded=True):
        if record.kind not in CLASSES:
            assert record.details == {}
        else:
            again = CLASSES[record.kind].of(record).to_json()
            assert text(again) == text(record.details), record.label


def test_details_of_a_run_are_read_and_written_back_equal(finished: Path) -> None:
    for record in read_records(finished):
        if record.kind in CLASSES:
            details = CLASSES[record.kind].of(record)
            assert text(details.to_json()) == text(record.details)
            assert bool(details.facts) == (record.kind not in ("control", "path"))


def record(kind: str, details: dict[str, Any]) -> Record:
    return Record(
        id="0" * 16,
        kind=kind,
        label=kind,
        status="done",
        settings={},
        parents={},
        details=details,
    )


def test_details_of_older_records_lack_what_came_later() -> None:
    old = VictimDetails.of(record("victim", {"poisoned": 7, "losses": [2.0, 1.5]}))
    assert (old.poisoned, old.losses, old.stealth, old.preview_count) == (7, [2.0, 1.5], None, None)
    assert old.to_json() == {"poisoned": 7, "losses": [2.0, 1.5]}
    named = InversionDetails.of(record("inversion", {"target": 3, "true_target": 3}))
    assert (named.target, named.lead, named.change) == (3, None, None)
    walked = PathDetails.of(record("path", {"barriers": {"line, interpolated": {"x": 1.0}}}))
    assert (walked.layers, walked.barriers) == ({}, {"line, interpolated": {"x": 1.0}})


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"stealth": 5, "losses": [1.0]}, VictimDetails(losses=[1.0])),
        ({"stealth": {"psnr": "high"}, "poisoned": 3}, VictimDetails(poisoned=3)),
        ({"poisoned": "3", "losses": {"a": 1}}, VictimDetails()),
        ({"losses": None, "split": [1], "preview_count": 2.5}, VictimDetails()),
    ],
)
def test_what_has_another_form_is_left_empty(
    details: dict[str, Any], expected: VictimDetails
) -> None:
    assert VictimDetails.of(record("victim", details)) == expected


@pytest.mark.parametrize("inner", [None, 3, [], {"asr": "x"}, {"models": [1]}])
def test_a_transfer_of_another_form_is_empty(inner: object) -> None:
    assert TransferDetails.of(record("transfer", {"transfer": inner})) == TransferDetails()


def test_none_is_written_where_it_says_something() -> None:
    nobody = InversionDetails(target_share=0.0, change=0.1, preview_count=8)
    assert nobody.to_json() == {
        "target": None,
        "true_target": None,
        "target_share": 0.0,
        "change": 0.1,
        "preview_count": 8,
    }
    stealth = StealthDetails(largest_change=0.0, images=4, unchanged=4)
    written = VictimDetails(poisoned=0, losses=[], stealth=stealth).to_json()
    assert written["poisoned"] == 0
    assert written["stealth"]["psnr"] is None
    back = VictimDetails.of(replace(record("victim", written)))
    assert back.stealth == stealth
    assert ReactivatedDetails().to_json() == {}
