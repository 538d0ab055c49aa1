"""Numbers of different data or recipes are separate in every view and every format."""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Record
from remission.report.groups.results import Results, summarise
from remission.report.page.page import build_page, write_report
from remission.report.tables.render import render
from remission.report.tables.views import VIEWS
from tests.unit.report.ensemble_factory import ensemble_of, entry
from tests.unit.report.perturbed_factory import perturbed
from tests.unit.report.report_factory import write_store

BEFORE = {"data": "a06d32667", "recipe": {"epochs": 6, "lr": 0.1}, "split": {"test": None}}
AFTER = {**BEFORE, "recipe": {"epochs": 1, "lr": 0.1}}
RELABELLED = {**BEFORE, "data": "b17e4"}


def grid(folder: Path, setting: dict[str, Any], *, seed: int, day: int) -> list[Record]:
    """Returns a grid with content for every view, of one setting and one seed."""
    made = [json.loads(one.to_json()) for one in with_validation(perturbed(folder))]
    text = json.dumps(made)
    ids = {one["id"] for one in made}
    for identity in sorted(ids, key=len, reverse=True):  # no id is part of a longer one
        text = text.replace(f'"{identity}"', f'"{identity}-{day}"')
    made = json.loads(text.replace('"seed": 0', f'"seed": {seed}'))
    for one in made:
        cell = one["cell"] or {}
        one["finished"] = f"2025-01-{day:02}T00:00:00+00:00"
        one["settings"] = {
            "context": {"dataset": "fashion-mnist", "arch": "resnet18:16", "seed": seed, **setting},
            "attack": {"method": cell.get("attack", "badnets")},
            **({"inversion": {"method": "bti_dbf"}} if one["kind"] == "inversion" else {}),
        }
        for path in one["paths"]:
            path["id"] = f"{path['id']}-{day}"
        if one["cell"] and one["kind"] == "purified":
            one["parents"]["inversion"] = f"inversion-badnets-0-{day}"
    return [Record.from_json(json.dumps(one)) for one in made]


def with_validation(made: list[Record]) -> list[Record]:
    """Returns records with the same rates on a validation, and an ensemble of each model."""
    whole = []
    for one in made:
        if (cell := one.cell) is None or cell.asr is None or cell.reactivation != "none":
            whole.append(one)
            continue
        cell = replace(cell, validation_asr=cell.asr, validation_clean_acc=cell.clean_acc)
        whole.append(replace(one, cell=cell))
        if cell.purifier != "none":
            whole.append(ensemble_of(cell, entry(0.5, 0.5, cell.clean_acc or 0.0)))
    return whole


@pytest.fixture(scope="module", params=[AFTER, RELABELLED], ids=["recipe", "data"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Returns seed 0 with one setting, and later seed 1 with another (same seed for data)."""
    folder = tmp_path_factory.mktemp("store")
    seed = 1 if request.param is AFTER else 0
    return [
        *grid(folder, BEFORE, seed=0, day=1),
        *grid(folder, request.param, seed=seed, day=2),
    ]


def told_apart(both: list[Record]) -> tuple[str, str]:
    """Returns the difference of the two in titles."""
    if any("b17e4" in json.dumps(one.settings) for one in both):
        return "data a06d3266", "data b17e4"
    return "epochs = 6", "epochs = 1"


def test_they_are_two_groups_and_the_titles_say_why(both: list[Record]) -> None:
    groups = summarise(both)
    assert len(groups) == 2
    assert [group.seeds for group in groups] == [1, 1]
    assert [group.repeated for group in groups] == [0, 0]
    first, second = told_apart(both)
    assert sorted(group.title.rpartition(" · ")[2] for group in groups) == sorted((first, second))


def test_one_setting_is_not_said(both: list[Record]) -> None:
    (group,) = summarise([one for one in both if one.finished < "2025-01-02"])
    assert group.title.endswith("target 0")
    assert group.setting == ""


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "innocent"])
def test_no_view_mixes_them(both: list[Record], view: str) -> None:
    """People read the difference, and programs find it in each object, in all formats."""
    first, second = told_apart(both)
    for form in ("text", "markdown"):
        text = render(both, view, form)
        assert "over 2 seeds" not in text
        if view != "explanation":  # one model per setting and seed is too few for a test
            assert first in text, (view, form)
            assert second in text, (view, form)
    objects = json.loads(render(both, view, "json"))
    settings = {json.dumps(one["setting"], sort_keys=True) for one in objects}
    assert len(settings) == 2
    lines = list(csv.DictReader(io.StringIO(render(both, view, "csv"))))
    assert len({line["setting"] for line in lines}) == 2
    assert sum(one.get("seeds", 1) > 1 for one in objects) == 0


def test_the_page_shows_the_last_runs_and_says_what_it_hides(
    both: list[Record], tmp_path: Path
) -> None:
    store = write_store(tmp_path / "store", both)
    results = Results.of_store(store)
    assert 2 * len(results) == len(both)
    assert {one.finished[:10] for one in results} == {"2025-01-02"}
    hidden = f"{len(results)} records of other data or other settings than the last run's are not"
    out = tmp_path / "page.html"
    write_report(store, out)
    assert hidden in html.unescape(out.read_text(encoding="utf-8"))
    for form in ("text", "markdown"):
        assert f"{hidden} shown: --all-settings" in " ".join(
            render(results, "summary", form).split()
        )
    whole = Results.of_store(store, all_settings=True)
    assert whole.note == ""
    page = build_page(whole, store)
    assert all(words in page for words in told_apart(both))
