"""Models that an inversion compares with: one stage each, shared by all victims of a seed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from remission.grid.plan.planner import make_plan
from remission.grid.spec.spec import parse_spec
from remission.records import Record, read_records
from remission.records.details import InversionDetails
from tests.unit.grid.small import SPEC as SMALL
from tests.unit.grid.small import remission, run

SPEC = f"""
innocent = [0]
{SMALL[: SMALL.index("[inversion]")]}
[[attack]]
method = "blended"
poison_rate = 0.1

[inversion]
method = "voted"
steps = 2
starts = 1
margin_steps = 2
threshold = 1000.0
reference_epochs = 1

[[purifier]]
method = "pam"
rounds = 2
epochs = 1
augment = "none"
"""


def test_victims_of_one_seed_share_references_that_only_their_own_settings_change() -> None:
    spec = tomllib.loads(SPEC)

    def references(**inversion: object) -> set[str]:
        changed = {**spec, "inversion": {**spec["inversion"], **inversion}}
        plan = make_plan(parse_spec(changed), "0123456789abcdef")
        return {stage.id for stage in plan if stage.kind == "reference"}

    assert len(references()) == 2
    assert references(steps=3, margin_steps=9, threshold=1.0) == references()
    assert not references(reference_epochs=2) & references()
    assert len(references(references=3) & references()) == 2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("references")
    (folder / "spec.toml").write_text(SPEC, encoding="utf-8")
    told = run(folder / "spec.toml", folder / "store")
    assert told.status == 0, told
    assert "abstains between classes" in told.out + told.err
    return folder / "store"


def of_kind(store: Path, kind: str) -> list[Record]:
    return [record for record in read_records(store) if record.kind == kind]


def test_an_inversion_that_abstains_says_so_everywhere(store: Path) -> None:
    found = [InversionDetails.of(record) for record in of_kind(store, "inversion")]
    assert len(found) == 3
    for details in found:
        assert details.target is None
        assert len(details.candidates) == 2
        assert details.margin_lead is not None
    text = remission("table", store, "--view", "inversions").out
    for details in found:
        assert " or ".join(map(str, details.candidates)) in text
    listed = json.loads(remission("table", store, "--view", "inversions", "--format", "json").out)
    assert sorted(tuple(entry["candidates"]) for entry in listed) == sorted(
        tuple(details.candidates) for details in found
    )


def test_the_cost_of_a_purified_model_includes_the_references(store: Path) -> None:
    references = of_kind(store, "reference")
    assert len(references) == 2
    trained = sum(record.seconds for record in references)
    by_id = {record.id: record for record in of_kind(store, "inversion")}
    for record in of_kind(store, "purified"):
        inversion = by_id[record.parents["inversion"]]
        assert InversionDetails.of(inversion).reference_seconds == pytest.approx(trained)
        assert record.cell is not None
        assert record.cell.seconds >= inversion.seconds + trained
