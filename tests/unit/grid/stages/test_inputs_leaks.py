"""The inputs of each method of a grid: purifiers and inversions get the defender's images alone."""

from __future__ import annotations

import tomllib
from functools import cache

import pytest
import torch

from remission.data import load_dataset, split_dataset
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec
from remission.grid.stages.execute import execute
from remission.models.checkpoint import read_tensors
from remission.records.store import Store
from remission.seeding import Seed
from remission.triggers import checkerboard
from remission.types import LabelledImages, Split
from tests.unit.grid.small import SPEC
from tests.unit.grid.spies import Heard, InversionSpy, OtherInversionSpy, flat, floats, spies

METHODS = """
[[inversion]]
method = "inversion_spy"

[[inversion]]
method = "other_inversion_spy"

[[purifier]]
method = "clean_spy"

[[purifier]]
method = "trigger_spy"

[[purifier]]
method = "trigger_spy"
inversion = "other_inversion_spy"

[[purifier]]
method = "trigger_spy"
trigger = "true"

[[reactivation]]
method = "retuning"
budgets = [3]

[[reactivation]]
method = "alternative"

[path]
points = 2
retuned = 3
curve = 1
"""

CLEAN, TRUE = "clean_spy", "trigger_spy (trigger=true)"
INVERTED = "trigger_spy (inversion=inversion_spy, trigger=inverted)"
OTHER = "trigger_spy (inversion=other_inversion_spy, trigger=inverted)"
ROWS = {CLEAN, INVERTED, OTHER, TRUE}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("leaks") / "store")


@pytest.fixture(scope="module")
def told(store: Store) -> Heard:
    """Returns the reports of all spies in a grid of two seeds, one with an innocent model."""
    text = SPEC[: SPEC.index("[inversion]")].replace(
        "seeds = [0]", "seeds = [0, 1]\ninnocent = [1]"
    )
    with spies() as ear:
        for stage in plan_of(parse_spec(tomllib.loads(text + METHODS))):
            if stage.kind in ("reactivated", "path") and CLEAN not in stage.label:
                continue  # one row of them is enough
            ear.stage = stage
            execute(stage, store, torch.device("cpu"))
        return list(ear.heard)


@cache
def split(number: int) -> Split:
    """Returns the split of a seed, made anew."""
    sizes = {"defender": 40, "attacker": 40, "victim": 120, "test": 60}
    return split_dataset(load_dataset("digits"), Seed(number).child("split"), **sizes)


def split_of(stage: Stage) -> Split:
    return split(stage.settings["context"]["seed"])


def assert_same(found: LabelledImages, wanted: LabelledImages) -> None:
    assert torch.equal(found.images, wanted.images)
    assert torch.equal(found.labels, wanted.labels)


def pixels(data: LabelledImages) -> set[bytes]:
    return {image.numpy().tobytes() for image in data.images}


def test_every_purifier_and_every_inversion_is_given_the_defenders_images(told: Heard) -> None:
    heard = set()
    for stage, handed in told:
        if handed.who != "reactivation":
            assert_same(handed.images, split_of(stage).defender)
            heard.add((stage.label, handed.who))
    victims = ("badnets/seed0", "badnets/seed1", "none/seed1")
    inversions = (InversionSpy.name, OtherInversionSpy.name)
    wanted = {(f"{here}/{row}", "purifier") for here in victims for row in ROWS}
    wanted -= {(f"none/seed1/{TRUE}", "purifier")}
    wanted |= {(f"{here}/inversion-{name}", "inversion") for here in victims for name in inversions}
    wanted |= {(f"badnets/seed{number}/{CLEAN}/path", "path") for number in (0, 1)}
    assert heard >= wanted


def test_a_defender_sees_no_image_of_anyone_else(told: Heard) -> None:
    for number in (0, 1):
        seen = {True: set[bytes](), False: set[bytes]()}
        for stage, handed in told:
            if stage.settings["context"]["seed"] == number:
                seen[handed.who == "reactivation"] |= pixels(handed.images)
        sets = split(number)
        known = (seen[False], seen[True], pixels(sets.victim), pixels(sets.test))
        assert [len(each) for each in known] == [40, 40, 120, 60], "no two digits are alike"
        assert len(set().union(*known)) == 40 + 40 + 120 + 60


def test_a_purifier_gets_the_trigger_that_its_row_asks_for(told: Heard) -> None:
    """It gets it both from the first round and from a second one."""
    asked = 0
    for stage, handed in told:
        if handed.who != "purifier" or not handed.stamped:
            continue
        images, name = floats(handed.images), stage.label.rpartition("/")[2]
        if name == TRUE:
            stamped = checkerboard((1, 8, 8), 2, 0)(images)
            wanted = (stamped, stamped)
            assert not torch.equal(stamped, images)
        else:
            step = (OtherInversionSpy if name == OTHER else InversionSpy).step
            wanted = (torch.full_like(images, step), torch.full_like(images, 2 * step))
        for found, expected in zip(handed.stamped, wanted, strict=True):
            assert torch.equal(found, expected), stage.label
        asked += 1
    assert asked == 3 + 3 + 2, "two seeds, and the innocent model, whose trigger nobody knows"


def test_inversions_know_no_target_but_the_one_that_they_named(told: Heard) -> None:
    rounds = [(s.kind == "inversion", h.target) for s, h in told if h.who == "inversion"]
    assert set(rounds) == {(True, None), (False, 3)}


def test_the_model_is_the_one_that_the_stage_builds_upon(told: Heard, store: Store) -> None:
    for stage, handed in told:
        if handed.weights is None:
            continue
        kind = "control" if stage.label.startswith("none/") else "victim"
        record = store.find(kind, stage.parents["victim"])
        assert record is not None
        assert torch.equal(
            handed.weights, flat(read_tensors(store.folder / record.artefacts["weights"].file))
        )


def test_the_attacker_has_his_own_images_and_the_true_trigger(told: Heard) -> None:
    kinds = set()
    for stage, handed in told:
        if handed.who == "reactivation":
            assert_same(handed.images, split_of(stage).attacker)
            stamped = checkerboard((1, 8, 8), 2, 0)(floats(handed.images))
            assert torch.equal(handed.stamped[0], stamped)
            kinds.add(stage.label.rpartition("/")[2])
    assert kinds == {"retuning-3", "alternative", "path"}
