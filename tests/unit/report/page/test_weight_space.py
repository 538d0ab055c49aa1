from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from remission.report.figures.lines import Series
from remission.report.figures.style import styles
from remission.report.figures.weight_space import layer_figure
from remission.report.groups.results import summarise
from remission.report.page.page import build_page
from remission.report.page.weight_space import weight_space_drawings
from remission.report.tables.paths import barrier_table
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, curve, grid, plane, record, write_store


def test_barriers_of_older_records_and_of_new_ones(tmp_path: Path) -> None:
    (old,) = summarise(grid(tmp_path))
    table = barrier_table(old)
    assert table is not None
    assert [line[1] for line in table.rows] == ["line, victim to purified"] * 5
    assert table.rows[0][-2:] == ["–", "–"], "no distances, no losses"
    (new,) = summarise(grid(tmp_path, seeds=3, rich=True))
    table = barrier_table(new)
    assert table is not None
    assert len(table.rows) == 15
    by_walk = {line[1]: line for line in table.rows if line[0] == "ft"}
    line = by_walk["line, victim to purified"]
    assert line[-2] == "3.00 ± 0.00"
    assert line[5].startswith("1.0"), "a hump of one point of clean accuracy"
    assert by_walk["curve, victim to purified"][5].startswith("0.0")
    assert by_walk["line, purified to retuned"][3] == line[3], (
        "the same line, walked on from its end"
    )
    (none,) = summarise([record(cell())])
    assert barrier_table(none) is None


def test_of_two_walks_of_one_seed_the_later_is_told(tmp_path: Path) -> None:
    made = grid(tmp_path, rich=True)
    (one,) = [r for r in made if r.kind == "path" and r.paths[0].purifier == "ft"]
    lost = tuple(dataclasses.replace(path, asr=[0.0] * len(path.t)) for path in one.paths)
    later = dataclasses.replace(one, id="0", paths=lost, finished="2099-01-01T00:00:00+00:00")
    earlier = dataclasses.replace(later, finished="")
    tables = []
    for other in (later, earlier):
        (group,) = summarise([other, *made])
        table = barrier_table(group)
        assert table is not None
        tables.append([line for line in table.rows if line[0] == "ft"])
    (unchanged,) = summarise(made)
    table = barrier_table(unchanged)
    assert table is not None
    assert tables[1] == [line for line in table.rows if line[0] == "ft"]
    assert {line[2] for line in tables[0]} == {"100.0"}, "no ± from one seed"


def test_seeds_where_the_backdoor_never_comes_back_are_told(tmp_path: Path) -> None:
    made = grid(tmp_path, seeds=3)
    lost = [
        dataclasses.replace(
            one, paths=tuple(dataclasses.replace(p, asr=[0.1] * len(p.t)) for p in one.paths)
        )
        if one.kind == "path" and one.paths[0].seed == 2 and one.paths[0].purifier == "ft"
        else one
        for one in made
    ]
    (group,) = summarise(lost)
    table = barrier_table(group)
    assert table is not None
    ways = {line[0]: line[3] for line in table.rows}
    assert ways["ft"].endswith(" (2 of 3)")
    assert "of" not in ways["nad"]


def test_layers_that_normalise_have_a_panel_of_their_own() -> None:
    line = Series(label="ft", x=[0, 1, 2], y=[9, 1, 8], low=[9, 1, 8], high=[9, 1, 8])
    for names, panels in (
        (["conv1", "bn1", "linear"], 2),
        (["layer1.0.shortcut.0", "layer1.0.shortcut.1", "blocks.0.norm2"], 2),
        (["layers.0", "layers.1", "layers.2"], 1),
    ):
        svg = layer_figure([line], names, styles(["ft"]))
        assert svg.count("distance (% of the norm)") == panels
        assert all(name in svg for name in names)


def test_every_drawing(tmp_path: Path) -> None:
    made = grid(tmp_path, rich=True)
    (group,) = summarise(made)
    look = styles(row.label for row in group.rows)
    found = {each.title: each for each in weight_space_drawings(group, made, look)}
    assert list(found)[:4] == [
        "Path curves",
        "Losses",
        "Path to the retuned model",
        "Distance layer by layer",
    ]
    assert len([title for title in found if title.startswith("Plane of")]) == 5
    assert "Bezier curve, recalibrated" in found["Path curves"].svg
    assert "t (0: purified, 1: retuned)" in found["Path to the retuned model"].svg
    for text in ("victim", "purified", "retuned", "clean loss", "backdoor loss"):
        assert text in found["Plane of ft"].svg
    old = grid(tmp_path)
    (group,) = summarise(old)
    assert [each.title for each in weight_space_drawings(group, old, look)] == ["Path curves"]


def test_a_flat_plane_and_strange_details_are_drawn(tmp_path: Path) -> None:
    even = plane()
    same = [[0.0] * len(even.x) for _ in even.y]
    near = [[0.5 + 0.001 * k for k in range(len(even.x))] for _ in even.y]
    even = dataclasses.replace(even, clean_loss=near, backdoor_loss=same)
    walked = record(
        id="walk", kind="path", paths=(curve(),), plane=even, details={"layers, line": "nothing"}
    )
    page = build_page([record(cell()), walked], write_store(tmp_path, [walked]))
    assert "plane through the backdoored" in page
    assert "clean loss: 0.5 everywhere" in page
    assert "backdoor loss: at most 0.001 everywhere" in page


def test_the_view_of_paths_says_which_walk(tmp_path: Path) -> None:
    made = grid(tmp_path, rich=True)
    walks = {path["walk"] for path in json.loads(render(made, "paths", "json"))}
    assert walks == {"line", "retuned", "bezier"}
    header, *lines = render(made, "paths", "csv").splitlines()
    assert "clean_loss" in header.split(",")
    assert len(lines) == 5 * 5 * 21
    text = render(made, "paths", "text")
    assert text.count("curve, victim to purified") == 5 + 5 * 21, "in both tables"
    assert "t_back: the distance in t from the purified end" in " ".join(text.split())
    (line,) = [
        line.split()
        for line in text.splitlines()
        if line.startswith("ft ") and "interpolated    0.5 " in line and "purified to" not in line
    ]
    (ft,) = [
        path
        for path in json.loads(render(made, "paths", "json"))
        if (path["purifier"], path["walk"], path["batchnorm"]) == ("ft", "line", "interpolated")
    ]
    assert line[-4] == f"{100 * ft['asr'][ft['t'].index(0.5)]:.1f}"
    assert render(grid(tmp_path), "paths", "csv").splitlines()[1].endswith(",,")


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_page(tmp_path: Path, seeds: int) -> None:
    made = grid(tmp_path, seeds=seeds, rich=True)
    page = build_page(made, write_store(tmp_path, made))
    assert "Barriers and distances" in page
    assert page.count("plane through the backdoored") >= 5
