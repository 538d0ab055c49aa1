"""The identities of all recipes and of all records in git stay, so that results are found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remission.grid.plan import Stage, make_plan
from remission.grid.spec import read_spec
from remission.records import Record, read_records
from remission.records.identity import identity

ROOT = Path(__file__).parents[4]
LISTED: dict[str, str] = json.loads(
    Path(__file__).with_name("identities.json").read_text(encoding="utf-8")
)
"""Recipe -> the identities of its stages, in the plan's order, for a data set with digest
``"digest"``: written before the package was rearranged, and never to be written again by a script.
A recipe that came later is added with its first records.
"""


def recipe_file(name: str) -> Path:
    """Returns the file of a recipe."""
    return ROOT / "recipes" / f"{name}.toml"


STORES = sorted(folder for folder in (ROOT / "results").iterdir() if (folder / "records").is_dir())


CHANGED = {
    "anp": "version 2: the authors' noise, and a search by number of channels",
    "bti_dbf": "version 3 of the inversion: all terms of the pretraining, the published generator",
    "clp": "max_drop is 0.03 by default, as for all searches",
    "d3": "version 2: the authors' hinge",
    "fp": "max_drop is 0.03 by default, as for all searches",
    "label_consistent": "version 2: the victim's record holds crafted images",
    "nc": "augments as the victim was trained by default",
    "pam": "augments as the victim was trained by default",
    "rnp": "version 2: the goal is checked per batch, and a search by number of channels",
    "sig": "version 2: the victim's record holds crafted images",
    "tsc": "augments as the victim was trained by default",
}
"""Method -> why its results differ from those that the list and some records name."""


def method_of(settings: Mapping[str, Any], role: str) -> str:
    """Returns the name of the method in a role; empty without one."""
    return str(settings.get(role, {}).get("method", ""))


def changed(stage: Stage | Record, by_id: Mapping[str, Stage | Record]) -> set[str]:
    """Returns the methods of CHANGED that a stage or one of its ancestors uses."""
    names = {method_of(stage.settings, role) for role in ("attack", "inversion", "purifier")}
    parents = [by_id[parent] for parent in stage.parents.values() if parent in by_id]
    return (names & CHANGED.keys()).union(*(changed(parent, by_id) for parent in parents))


@pytest.mark.parametrize("recipe", LISTED)
def test_the_stages_of_a_recipe_keep_their_identities(recipe: str) -> None:
    plan = {stage.id: stage for stage in make_plan(read_spec(recipe_file(recipe)), "digest")}
    listed = LISTED[recipe].split()
    strange = [plan[one].label for one in plan.keys() - set(listed) if not changed(plan[one], plan)]
    assert not strange
    assert len(plan) == len(listed)


def test_what_is_excused_did_change() -> None:
    """A method whose stages all have the identities of the list needs no excuse."""
    used = set[str]()
    for recipe, listed in LISTED.items():
        plan = {stage.id: stage for stage in make_plan(read_spec(recipe_file(recipe)), "digest")}
        for identity_ in plan.keys() - set(listed.split()):
            used |= changed(plan[identity_], plan)
    assert used == CHANGED.keys()


def test_every_recipe_with_records_is_listed() -> None:
    assert all(recipe_file(name).is_file() for name in LISTED)
    assert {folder.name for folder in STORES} <= set(LISTED)


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
    spec = read_spec(recipe_file(folder.name))
    settled = spec.model_copy(update={"precision": context["precision"]})
    plan = {stage.id for stage in make_plan(settled, context["data"])}
    strange = [records[one] for one in records.keys() - plan]
    assert [record.label for record in strange if not changed(record, records)] == []
