"""The name of the target class is shown wherever its number is."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from remission.records import Record
from remission.report.groups.results import summarise
from remission.report.groups.targets import target_name
from remission.report.groups.titles import titles
from remission.report.measures.findings import Finding
from remission.report.tables.render import render
from tests.unit.report.report_factory import grid


@pytest.fixture
def whole(tmp_path: Path) -> list[Record]:
    """Returns a finished grid."""
    return grid(tmp_path)


def named(records: list[Record], name: str | None) -> list[Record]:
    """Returns the same records with a name for the target in every cell and path."""
    return [
        replace(
            record,
            cell=record.cell and replace(record.cell, target_name=name),
            paths=tuple(replace(path, target_name=name) for path in record.paths),
        )
        for record in records
    ]


@pytest.mark.parametrize("view", ["summary", "cells", "attacks", "scores"])
@pytest.mark.parametrize("name", ["bag", "ankle boot"])
def test_the_name_stands_in_every_view(whole: list[Record], view: str, name: str) -> None:
    records = named(whole, name)
    target = next(r.cell.target for r in records if r.cell)
    for form in ("text", "markdown"):
        text = render(records, view, form)
        assert f"{target} ({name})" in text
        assert "None" not in text
    objects = json.loads(render(records, view, "json"))
    assert {one["target_name"] for one in objects} == {name}
    lines = list(csv.DictReader(io.StringIO(render(records, view, "csv"))))
    assert {line["target_name"] for line in lines} == {name}


def test_paths_have_it_too(whole: list[Record]) -> None:
    objects = json.loads(render(named(whole, "bag"), "paths", "json"))
    assert {one["target_name"] for one in objects} == {"bag"}


def test_older_records_are_shown_by_number(whole: list[Record]) -> None:
    text = render(named(whole, None), "summary", "text")
    target = next(r.cell.target for r in whole if r.cell)
    assert f"target {target}\n" in text


def test_older_records_stand_in_one_table_with_new_ones(whole: list[Record]) -> None:
    records = whole
    mixed = [*named(records[:3], None), *named(records[3:], "bag")]
    groups, before = summarise(mixed), summarise(named(records, None))
    assert [len(group.rows) for group in groups] == [len(group.rows) for group in before]
    assert {group.target_name for group in groups} == {"bag"}
    assert target_name([]) is None
    assert all(title == key.attack.name for key, title in titles(groups).items())


def test_what_an_inversion_names() -> None:
    details = {"target": 3, "target_name": "bag", "target_share": 0.5, "change": 0.1}
    assert (
        Finding.of(details)
        .caption()
        .startswith(": names class 3 (bag), into which its trigger moves 50.0 %")
    )
    assert Finding.of({"target": 3}).caption() == ": names class 3"
    assert Finding.of({"target": None, "target_name": None}).caption() == ": names no class"
    assert Finding.of({"target": None}).shown == "none"
