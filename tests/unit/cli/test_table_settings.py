"""Two recipes in one store, and a victim that collapsed, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.grid.small import Told, computed, remission, run, write_spec

ONLY_FT = ("--only", "badnets/seed*/ft")


def shown(store: Path, *options: str) -> tuple[list[tuple[int, int]], Told]:
    """Returns (seed, epochs of the recipe) of each cell that a table shows."""
    told = remission("table", store, "--view", "cells", "--format", "json", *options)
    assert told.status == 0, told
    cells = json.loads(told.out)
    return sorted({(one["seed"], one["setting"]["recipe"]["epochs"]) for one in cells}), told


def test_the_last_runs_recipe_is_shown_and_never_averaged(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write_spec(tmp_path / "a")
    second = write_spec(
        tmp_path / "b", ("seeds = [0]", "seeds = [1]"), ("epochs = 1", "epochs = 2")
    )
    assert run(first, store, *ONLY_FT).status == 0
    cells, told = shown(store)
    assert cells == [(0, 1)]
    assert "other settings" not in told.err
    assert run(second, store, *ONLY_FT).status == 0
    cells, told = shown(store)
    assert cells == [(1, 2)]
    assert "records of other data or other settings than the last run's are not shown" in told.err
    assert shown(store, "--all-settings")[0] == [(0, 1), (1, 2)]
    text = " ".join(remission("table", store).out.split())
    assert "over 2 seeds" not in text
    assert "--all-settings shows all of them" in text
    text = remission("table", store, "--all-settings").out
    assert "target 0 · epochs = 1" in text
    assert "target 0 · epochs = 2" in text
    again = run(first, store, *ONLY_FT)
    assert computed(again) == []
    assert shown(store)[0] == [(0, 1)], "a run that computes nothing is the last run all the same"


def test_a_victim_that_says_one_class_to_everything(tmp_path: Path) -> None:
    wild = (
        'epochs = 1\naugment = "none"',
        'epochs = 2\nlr = 50.0\nschedule = "constant"\naugment = "none"',
    )
    spec, store = write_spec(tmp_path, wild), tmp_path / "store"
    run(spec, store, "--only", "badnets/seed0/ft*")
    text = " ".join(remission("table", store).out.split())
    assert "survived" not in text
    assert "is not shown to be better than one answer for all images: clean accuracy" in text
    assert "of 10 classes" in text
