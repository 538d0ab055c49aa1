"""Where one name has several data sets or recipes, those of the last runs are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from remission.records import Record
from remission.records.plans import plan_text
from remission.records.settings import last_runs, of_last_settings, setting_of
from tests.unit.report.report_factory import cell, record

CONTEXT = {"dataset": "base", "arch": "resnet18:2", "data": "a0", "recipe": {"epochs": 6}}


def made(name: str, day: int, *, parents: tuple[str, ...] = (), **context: Any) -> Record:  # noqa: ANN401
    """Returns a record that was finished on a day in January."""
    context = {**CONTEXT, "seed": 0, **context}
    return record(
        cell(id=name, dataset=context["dataset"], arch=context["arch"]),
        settings={"context": context, "attack": {"method": "badnets"}},
        finished=f"2025-01-{day:02}T00:00:00+00:00",
        parents=dict(enumerate(parents)),
    )


def names(records: list[Record], runs: dict[str, str] | None = None) -> list[str]:
    return [one.id for one in of_last_settings(records, runs).records]


def test_seed_dataset_and_architecture_are_no_setting() -> None:
    assert setting_of(made("a", 1, seed=0)) == setting_of(made("b", 2, seed=7))
    assert setting_of(made("a", 1)) == {"data": "a0", "recipe": {"epochs": 6}, "resize": "crop"}
    assert setting_of(made("a", 1)) == setting_of(made("b", 1, resize="crop"))
    assert setting_of(record(cell())) == {}


def test_the_setting_finished_last_stands() -> None:
    records = [made("a", 1, seed=0), made("b", 3, recipe={"epochs": 1}, seed=1), made("c", 2)]
    assert names(records) == ["b"]
    assert of_last_settings(records).hidden == 2
    assert names([made("a", 1, data="a0"), made("b", 2, data="a1")]) == ["b"]
    assert names([made("a", 1, seed=0), made("b", 2, seed=1)]) == ["a", "b"]


def test_a_run_that_computes_nothing_brings_its_setting_back() -> None:
    records = [made("a", 1), made("b", 2, recipe={"epochs": 1})]
    assert names(records, {"a": "2025-01-03T00:00:00.5+00:00"}) == ["a"]


def test_attacks_data_sets_and_architectures_have_settings_of_their_own() -> None:
    records = [
        made("a", 1),
        made("b", 2, recipe={"epochs": 1}, arch="vit_tiny"),
        made("c", 3, recipe={"epochs": 1}, dataset="digits", data="d1"),
    ]
    assert names(records) == ["a", "b", "c"]


def test_a_folder_is_known_by_the_name_in_its_cells() -> None:
    """All folders have one name in settings; the digest alone identifies them."""
    ant, bee = made("a", 1, dataset="folder"), made("b", 2, dataset="folder", data="b0")
    as_ant = cell(id="a", dataset="ants")
    one = record(as_ant, settings=ant.settings, finished=ant.finished)
    other = record(cell(id="b", dataset="bees"), settings=bee.settings, finished=bee.finished)
    assert names([one, other]) == ["a", "b"]


def test_what_a_shown_record_builds_upon_is_shown() -> None:
    records = [made("old", 1), made("new", 2, parents=("old",), recipe={"epochs": 1})]
    assert names(records) == ["old", "new"]


def test_plans_say_when_they_were_run(tmp_path: Path) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    assert last_runs(tmp_path) == {}
    (plans / "new.json").write_text(plan_text("new", [("victim", "abc")]))
    (plans / "older.json").write_text(json.dumps({"name": "older", "stages": ["victim/def"]}))
    (plans / "damaged.json").write_text("{")
    assert list(last_runs(tmp_path)) == ["abc"]
    assert last_runs(tmp_path)["abc"] > "2025-01-01"
