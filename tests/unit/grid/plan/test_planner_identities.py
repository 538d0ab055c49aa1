"""The identities of all recipes and of all records in git stay, so that results are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remission.grid.plan import make_plan
from remission.grid.spec import read_spec
from remission.records import read_records
from remission.records.identity import identity

ROOT = Path(__file__).parents[4]
LISTED: dict[str, str] = json.loads(
    Path(__file__).with_name("identities.json").read_text(encoding="utf-8")
)
"""Recipe -> the identities of its stages, in the plan's order, for a data set with digest
``"digest"``: written before the package was rearranged, and never to be written again by a script.
"""
STORES = sorted(folder for folder in (ROOT / "results").iterdir() if folder.is_dir())


@pytest.mark.parametrize("recipe", LISTED)
def test_the_stages_of_a_recipe_keep_their_identities(recipe: str) -> None:
    plan = make_plan(read_spec(ROOT / "recipes" / f"{recipe}.toml"), "digest")
    listed = LISTED[recipe].split()
    changed = [stage.label for stage in plan if stage.id not in set(listed)]
    assert not changed
    assert len(plan) == len(listed)


def test_every_recipe_is_listed() -> None:
    files = {file.relative_to(ROOT / "recipes") for file in (ROOT / "recipes").rglob("*.toml")}
    assert {file.with_suffix("").as_posix() for file in files} == set(LISTED)


@pytest.mark.parametrize("folder", STORES, ids=lambda folder: folder.name)
def test_a_record_is_named_by_what_made_it(folder: Path) -> None:
    for record in read_records(folder, superseded=True):
        assert record.id == identity(record.kind, record.settings, record.parents), record.label


EARLIER = {"pam-recalibration"}
"""Recorded before ``badnets`` had the parameter ``image``, which its identities lack."""


@pytest.mark.parametrize(
    "folder", [f for f in STORES if f.name not in EARLIER], ids=lambda folder: folder.name
)
def test_the_plan_of_a_recipe_is_what_its_records_are(folder: Path) -> None:
    """With the digest and the precision of the records, the recipe's plan has their identities."""
    records = {record.id: record for record in read_records(folder)}
    context = next(iter(records.values())).settings["context"]
    spec = read_spec(ROOT / "recipes" / f"{folder.name}.toml")
    settled = spec.model_copy(update={"precision": context["precision"]})
    plan = {stage.id for stage in make_plan(settled, context["data"])}
    assert set(records) <= plan
