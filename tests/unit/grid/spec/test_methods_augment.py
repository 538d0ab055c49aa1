"""``augment = "victim"`` is settled when methods are built: no stage, record or cell holds it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from remission.grid.plan import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.spec import parse_spec
from remission.registry import PURIFIERS
from tests.unit.grid.small import (
    SPEC,
    Told,
    assert_one_line,
    by_label,
    computed,
    remission,
    run,
    spec_with,
)

pytestmark = pytest.mark.usefixtures("forgotten_methods")

FOLLOWING = sorted(set(PURIFIERS) - {"clp", "undo"})
"""``clp`` trains nothing; ``undo`` needs a base, see ``test_methods_base.py``."""
NOTHING_STATED = (
    ('epochs = 2\naugment = "none"', "epochs = 2"),
    ('rounds = 2\nepochs = 1\naugment = "none"', "rounds = 2\nepochs = 1"),
)
"""Edits of the small spec: its purifiers follow the victim."""
OWN = """
from typing import ClassVar, Literal
from remission.method import method
from remission.models import Classifier
from remission.purifiers import CleanPurifier
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.types import LabelledImages

@method
class Mine(CleanPurifier):
    name: ClassVar[str] = "mine"
    paper: ClassVar[str] = "nobody"
    augment: Literal[{allowed}] = "victim"

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        fit(model, clean, Recipe(epochs=1, lr=0.1, augment=self.augment), seed=seed, what="mine")
        return model
"""
MINE = '\n[[purifier]]\nmethod = "mine"\n'


def plan(victim: str, *purifiers: dict[str, Any]) -> list[Stage]:
    table = tomllib.loads(SPEC)
    table["victim"]["augment"] = victim
    return make_plan(parse_spec({**table, "purifier": list(purifiers)}), "digest")


def identities(victim: str, *purifiers: dict[str, Any]) -> list[str]:
    return [stage.id for stage in plan(victim, *purifiers)]


@pytest.mark.parametrize("victim", ["none", "crop", "crop_flip"])
def test_the_default_is_what_the_victim_has_with_the_same_identity(victim: str) -> None:
    silent = [{"method": name} for name in FOLLOWING]
    spoken = [{"method": name, "augment": "victim"} for name in FOLLOWING]
    stated = [{"method": name, "augment": victim} for name in FOLLOWING]
    assert identities(victim, *silent) == identities(victim, *stated)
    assert identities(victim, *spoken) == identities(victim, *stated)
    for stage in plan(victim, *silent):
        table = stage.settings.get("purifier", {})
        if table.get("method") in FOLLOWING:
            assert table["augment"] == victim, stage.label


def test_another_one_is_another_result() -> None:
    for name in FOLLOWING:
        silent = identities("none", {"method": name})
        stated = identities("none", {"method": name, "augment": "crop"})
        assert set(silent) - set(stated), name


def test_a_purifier_that_trains_nothing_has_no_such_key() -> None:
    for stage in plan("crop", {"method": "clp"}):
        assert "augment" not in stage.settings.get("purifier", {})


def test_a_copy_with_another_victim_has_other_purifiers() -> None:
    table = tomllib.loads(spec_with(*NOTHING_STATED))
    spec = parse_spec(table)
    victim = spec.victim.model_copy(update={"augment": "crop"})
    later = spec.model_copy(update={"victim": victim})
    found = [
        [row.purifier.parameters()["augment"] for row in each.methods.purifiers]
        for each in (spec, later)
    ]
    assert found == [["none", "none"], ["crop", "crop"]]


def test_records_and_cells_hold_what_was_done(tmp_path: Path) -> None:
    silent, stated, store = (tmp_path / name for name in ("silent.toml", "stated.toml", "store"))
    crops = ('augment = "none"\nbatch_size', 'augment = "crop"\nbatch_size')
    silent.write_text(spec_with(crops, *NOTHING_STATED), encoding="utf-8")
    text = spec_with().replace('augment = "none"', 'augment = "crop"')
    stated.write_text(text, encoding="utf-8")
    rehearsed = remission("run", silent, "--store", store, "--device", "cpu", "--dry-run")
    assert rehearsed.status == 0, rehearsed
    told = run(silent, store, "--only", "badnets/seed0/ft*")
    assert told.status == 0, told
    for label in ("badnets/seed0/ft", "badnets/seed0/ft/retuning-3"):
        record = by_label(store)[label]
        assert record.settings["purifier"]["augment"] == "crop"
        assert record.cell is not None
        assert record.cell.purifier_params["augment"] == "crop"
    assert '"augment": "victim"' not in json.dumps([r.settings for r in by_label(store).values()])
    assert computed(run(stated, store, "--only", "badnets/seed0/ft*")) == []


def with_own(folder: Path, victim: str, allowed: str) -> Told:
    """Runs the small grid's victim and a purifier from a file, which follows the victim."""
    file, spec = folder / "mine.py", folder / "spec.toml"
    file.write_text(OWN.format(allowed=allowed), encoding="utf-8")
    change = ('augment = "none"\nbatch_size', f'augment = "{victim}"\nbatch_size')
    spec.write_text(spec_with(change, more=MINE), encoding="utf-8")
    store = folder / "store"
    return run(spec, store, "--methods", str(file), "--only", "badnets/seed0/mine")


@pytest.mark.parametrize("victim", ["none", "crop"])
def test_a_purifier_from_a_file_follows_the_victim(tmp_path: Path, victim: str) -> None:
    told = with_own(tmp_path, victim, '"none", "crop", "crop_flip", "victim"')
    assert told.status == 0, told
    record = by_label(tmp_path / "store")["badnets/seed0/mine"]
    assert record.settings["purifier"]["augment"] == victim
    assert record.cell is not None
    assert record.cell.purifier_params == {"augment": victim}


def test_a_purifier_from_a_file_that_cannot_follow_says_so(tmp_path: Path) -> None:
    told = with_own(tmp_path, "crop", '"none", "victim"')
    assert_one_line(told, "[purifier] mine: 'augment' is 'crop'", "'none' or 'victim'")
