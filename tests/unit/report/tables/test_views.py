"""A view and a column are each described in one place; here they are outside the package."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.results import Results
from remission.report.page.page import build_page
from remission.report.tables.columns import TableColumn
from remission.report.tables.formats import Table
from remission.report.tables.render import render
from remission.report.tables.views import VIEWS, View, register_column, register_view
from tests.unit.grid.small import remission
from tests.unit.report.ensemble_factory import ensemble_of, entry
from tests.unit.report.report_factory import cell, grid, records, write_store
from tests.unit.report.tables.test_inversions import SEEN, inverted


@pytest.fixture
def seeds_view() -> Iterator[View]:
    """A view that counts the seeds of each purifier."""

    def counted(results: Results) -> dict[str, int]:
        seeds: dict[str, set[int]] = {}
        for record in results:
            if record.cell:
                seeds.setdefault(record.cell.purifier, set()).add(record.cell.seed)
        return {purifier: len(numbers) for purifier, numbers in sorted(seeds.items())}

    def tables(results: Results) -> list[Table]:
        rows = [[purifier, str(count)] for purifier, count in counted(results).items()]
        return [Table(title="Seeds", header=["purifier", "seeds"], rows=rows)] if rows else []

    view = View(
        name="seed-count",
        summary="how many seeds each purifier has",
        empty="no seed is run yet",
        tables=tables,
        objects=lambda results: [
            {"purifier": purifier, "seeds": count} for purifier, count in counted(results).items()
        ],
    )
    yield register_view(view)
    del VIEWS[view.name]


@pytest.mark.usefixtures("seeds_view")
def test_a_view_from_outside_is_shown_in_every_format(tmp_path: Path) -> None:
    made = records(cell(seed=0), cell(seed=1), cell(seed=0, purifier="ft"))
    text = render(made, "seed-count", "text")
    assert [line.split() for line in text.splitlines()[-2:]] == [["ft", "1"], ["none", "2"]]
    assert render(made, "seed-count", "markdown").splitlines()[-1] == "| none | 2 |"
    assert render(made, "seed-count", "csv") == "purifier,seeds\nft,1\nnone,2"
    assert json.loads(render(made, "seed-count", "json"))[0] == {"purifier": "ft", "seeds": 1}

    store = write_store(tmp_path, made)
    assert remission("table", store, "--view", "seed-count", "--format", "csv").out.endswith(
        "none,2\n"
    )
    shown = " ".join(remission("table", "--help").out.replace("│", " ").split())
    assert "seed-count: how many seeds each purifier has" in shown
    hint = remission("table", store, "--view", "seed-cuont").err
    assert "did you mean 'seed-count'?" in hint


@pytest.mark.usefixtures("seeds_view")
def test_a_view_from_outside_says_why_it_is_empty(tmp_path: Path) -> None:
    made = [one for one in grid(tmp_path) if one.cell is None]
    told = remission("table", write_store(tmp_path, made), "--view", "seed-count")
    assert told.err == "remission: nothing to show: no seed is run yet\n"


def test_scores_of_one_budget_say_that_a_curve_needs_two(tmp_path: Path) -> None:
    made = [one for one in grid(tmp_path) if one.cell is None or one.cell.budget in (None, 5)]
    assert any(one.cell is not None and one.cell.budget == 5 for one in made)
    told = remission("table", write_store(tmp_path / "store", made), "--view", "scores")
    assert "no purified model is retuned at two budgets yet" in told.err


def test_every_view_says_what_it_shows_and_why_it_may_be_empty() -> None:
    shown = " ".join(remission("table", "--help").out.replace("│", " ").split())
    for name, view in VIEWS.items():
        assert name == view.name
        assert f"{name}: {view.summary}" in shown
        assert not view.summary.endswith(".")
        assert not view.empty.endswith(".")


def on_page(text: str, header: str, value: str) -> bool:
    return f">{header}</th>" in text and f">{value}</td>" in text


def value_of(view: str, one: Any) -> int:  # noqa: ANN401  # what a row is depends on the view
    """Returns a number that no other column has: 7000 and the seed of the row."""
    first = {
        "summary": lambda: one.row.cells[None][0].seed,
        "scores": lambda: one.score.row.cells[None][0].seed,
        "inversions": lambda: one.seeds[0].cell.seed if hasattr(one, "seeds") else one.cell.seed,
        "attacks": lambda: one.cell.seed,
        "frontier": lambda: next(iter(one.points[0].cells))[1],
        "worst": lambda: min(one.worst.ours),
        "trials": lambda: one.groups[0].purified[0].cells[None][0].seed,
        "cells": lambda: one.cell.seed if hasattr(one, "cell") else one.seed,
    }
    return 7000 + int(first[view]())


def _validated(cell: Cell) -> Cell:
    """Returns a cell with the same rates on validation images."""
    return replace(cell, validation_clean_acc=cell.clean_acc, validation_asr=cell.asr)


@pytest.mark.parametrize("view", [name for name, view in VIEWS.items() if view.columns])
def test_a_column_from_outside_is_shown_wherever_its_view_is(view: str, tmp_path: Path) -> None:
    made = [*grid(tmp_path), *inverted("i0", "v0", details=SEEN, id="other")]
    made = [replace(record, cell=record.cell and _validated(record.cell)) for record in made]
    if view == "worst":
        models = [r.cell for r in made if r.cell and r.cell.purifier in ("control", "ft")]
        made += [ensemble_of(one, entry(0.5)) for one in models if one.reactivation == "none"]
    columns = VIEWS[view].columns
    assert columns is not None
    before = list(columns)
    column: TableColumn[Any, Any] = TableColumn(
        header="lucky number",
        text=lambda one: f"{value_of(view, one)} !",
        key="lucky_number",
        value=lambda one: value_of(view, one),
    )
    register_column(view, column)
    try:
        assert "7000 !" in render(made, view, "text")
        assert "| lucky number |" in render(made, view, "markdown")
        (first, *_) = csv.DictReader(io.StringIO(render(made, view, "csv")))
        assert first["lucky_number"] == "7000"
        objects = json.loads(render(made, view, "json"))
        row = objects[0]["rows"][0] if view == "summary" else objects[0]
        assert row["lucky_number"] == 7000
        page = build_page(made, write_store(tmp_path, made))
        assert on_page(page, "lucky number", "7000 !") == (view not in ("attacks", "cells"))
    finally:
        columns[:] = before


def test_a_column_that_does_not_vary_may_be_left_out() -> None:
    one, two = cell(seed=0, asr=0.9), cell(seed=1, asr=0.8)
    column: TableColumn[Any, Any] = TableColumn(
        header="seed again", text=lambda one: str(one.cell.seed), varies=True
    )
    columns = VIEWS["cells"].columns
    assert columns is not None
    before = list(columns)
    register_column("cells", column)
    try:
        assert "seed again" in render(records(one, two), "cells", "markdown")
        assert "seed again" not in render(records(one), "cells", "markdown")
    finally:
        columns[:] = before


def test_a_view_whose_columns_depend_on_the_store_takes_none() -> None:
    with pytest.raises(TypeError, match="'transfer' depend on the store"):
        register_column("transfer", TableColumn())
