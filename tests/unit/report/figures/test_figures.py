"""Every figure, with short and long names: nothing is cut, and no two labels overlap."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from remission.report.figures import lines
from remission.report.figures.canvas import SIZE, text_width
from remission.report.figures.drawing import Drawing
from remission.report.figures.explanation import explanation_figure
from remission.report.figures.perturbed import transfer_figure
from remission.report.figures.relapse import relapse_figure
from remission.report.figures.style import styles
from remission.report.figures.weight_space import path_figure
from remission.report.groups.results import Results
from remission.report.measures.explanation import explanations
from remission.report.measures.transfer import Matrix
from remission.report.page.relapse import relapse_drawings
from remission.report.page.weight_space import weight_space_drawings
from tests.unit.report.perturbed_factory import perturbed
from tests.unit.report.report_factory import grid

SVG = "{http://www.w3.org/2000/svg}"


def every_figure(folder: Path) -> Iterator[tuple[str, str]]:
    made = [*grid(folder, rich=True, seeds=2), *perturbed(folder, attack="blended")]
    results = Results(made)
    look = styles(row.label for group in results.groups for row in group.purified)
    for group in results.groups:
        for drawing in relapse_drawings(group, look):
            yield drawing.title, drawing.svg
        for drawing in weight_space_drawings(group, results, look):
            yield drawing.title, drawing.svg
    for one in explanations(results):
        yield "explanation", explanation_figure(one, styles(one.attacks))
    for names in (["control", "ft"], [f"a_purifier (with={k}, a=long, name=9)" for k in range(12)]):
        rates = [[0.1] * len(names)] * len(names)
        matrix = Matrix(title="oba", labels=names, asr=rates, seeds=1, images=9)
        yield "transfer", transfer_figure(matrix)


def boxes(svg: str) -> Iterator[tuple[str, float, float, float, float]]:
    """Returns (text, left, top, right, bottom) of each text that is not turned at a slant."""
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        size = float(text.get("font-size", SIZE))
        content = text.text or ""
        # the page's fonts are a little narrower than the one that is measured
        width = 0.94 * text_width(content, size, bold=text.get("font-weight") == "bold")
        start = {"start": 0.0, "middle": -width / 2, "end": -width}[
            text.get("text-anchor", "start")
        ]
        x, y = float(text.get("x", 0)), float(text.get("y", 0)) - 0.36 * size
        turned = re.match(r"rotate\((-?[\d.]+)", text.get("transform", ""))
        if turned is None:
            yield content, x + start, y - 0.4 * size, x + start + width, y + 0.4 * size
        elif float(turned[1]) == -90:
            yield content, x - 0.4 * size, y - start - width, x + 0.4 * size, y - start
        else:
            slope = math.radians(-float(turned[1]))
            end = (x + width * math.cos(slope), y - width * math.sin(slope))
            yield content, x, end[1], end[0], y


def test_no_label_is_cut(tmp_path: Path) -> None:
    count = 0
    for title, svg in every_figure(tmp_path):
        root = ElementTree.fromstring(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for text, left, top, right, bottom in boxes(svg):
            place = f"{title}: {text!r}"
            assert left > -1, place
            assert top > -1, place
            assert right < width + 1, place
            assert bottom < height + 1, place
        count += 1
    assert count == 19


def test_no_two_labels_overlap(tmp_path: Path) -> None:
    for title, svg in every_figure(tmp_path):
        if title.startswith(("Plane of", "transfer")):
            continue  # names of models stand where the models are; slanted boxes overlap
        for a, b in combinations(boxes(svg), 2):
            across = min(a[3], b[3]) - max(a[1], b[1])
            down = min(a[4], b[4]) - max(a[2], b[2])
            assert across < 1 or down < 1, f"{title}: {a[0]!r} and {b[0]!r}"


def test_names_of_a_relapse_figure_stand_in_the_order_of_their_ends(tmp_path: Path) -> None:
    (group,) = Results(grid(tmp_path)).groups
    curves = lines.relapse(group, group.columns)
    svg = relapse_figure(curves, styles(line.label for line in curves), None)
    ends = {line.label: line.y[-1] for line in curves}
    heights = {text: top for text, _, top, _, _ in boxes(svg) if text in ends}
    assert sorted(ends, key=ends.__getitem__) == sorted(heights, key=heights.__getitem__)[::-1]


@pytest.mark.parametrize("count", [1, 3, 7, 26])
def test_a_legend_names_every_line_once(count: int, tmp_path: Path) -> None:
    (group,) = Results(grid(tmp_path, rich=True)).groups
    (panel, *_) = lines.panels(group)
    names = [f"purifier number {k}" for k in range(count)]
    some = [replace(panel.error[0], label=name) for name in names]
    svg = path_figure([replace(panel, error=some, clean_acc=some)], styles(names))
    texts = [text for text, *_ in boxes(svg)]
    assert all(texts.count(name) == 1 for name in names)


def test_a_drawing_in_a_page_says_what_it_shows() -> None:
    drawing = Drawing(svg="<svg><path/></svg>", title='a "title"', caption="A <caption>.")
    assert drawing.inline == (
        '<svg role="img" aria-label="a &quot;title&quot;. A &lt;caption&gt;."><path/></svg>'
    )


def test_every_line_of_a_relapse_figure_has_its_values(tmp_path: Path) -> None:
    (group,) = Results(grid(tmp_path)).groups
    drawing = next(relapse_drawings(group, styles(row.label for row in group.purified)))
    parts = list(ElementTree.fromstring(drawing.svg).iter(f"{SVG}g"))
    with_points = [part for part in parts if part.get("data-points")]
    assert {part.get("data-line") for part in with_points} == {
        row.label for row in group.rows if row.purifier.name != "none"
    }
    anp = next(part for part in with_points if part.get("data-line") == "anp")
    texts = [text for _, _, text in json.loads(anp.get("data-points") or "")]
    assert texts[0].startswith("n = 0: ASR 1 % [0.8")
    assert [text.partition(":")[0] for text in texts] == ["n = 0", "n = 1", "n = 5", "n = 100"]
    drawn = {text.text for part in parts for text in part.iter(f"{SVG}text")}
    assert {row.label for row in group.purified} <= drawn, "its name is switched with the line"
