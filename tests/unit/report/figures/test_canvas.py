from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import pytest

from remission.report.figures.canvas import Canvas, text_width

SVG = "{http://www.w3.org/2000/svg}"


def paths(canvas: Canvas) -> list[dict[str, str]]:
    root = ElementTree.fromstring(canvas.svg())
    return [path.attrib for path in root.iter(f"{SVG}path")]


def test_a_value_that_is_no_number_breaks_a_line_and_has_no_mark() -> None:
    canvas = Canvas(100, 50)
    points = [(0.0, 0.0), (10.0, 5.0), (20.0, math.nan), (30.0, 5.0), (40.0, 0.0)]
    canvas.line(points, "red")
    canvas.marks(points, "o", "red")
    line, marks = paths(canvas)
    assert line["d"] == "M0.0 0.0 L10.0 5.0 M30.0 5.0 L40.0 0.0"
    assert marks["d"].count("M") == 4


def test_what_has_no_point_draws_nothing() -> None:
    canvas = Canvas(100, 50)
    canvas.line([(math.nan, 1.0)], "red")
    canvas.marks([(math.nan, 1.0)], "s", "red")
    canvas.marks([(1.0, 1.0)], "", "red")
    assert paths(canvas) == []


def test_dashes_grow_with_the_line() -> None:
    canvas = Canvas(100, 50)
    canvas.line([(0, 0), (1, 1)], "red", 2, dash="--")
    assert paths(canvas)[0]["stroke-dasharray"] == "7.40 3.20"


@pytest.mark.parametrize("marker", ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d"])
def test_every_mark_is_closed_and_as_wide_as_asked(marker: str) -> None:
    canvas = Canvas(100, 50)
    canvas.marks([(20.0, 20.0)], marker, "red", size=10)
    (mark,) = paths(canvas)
    assert mark["d"].endswith("z")
    if marker == "o":
        return
    start, _, steps = mark["d"].removesuffix("z").partition("l")
    x, y = map(float, start.removeprefix("M").split())
    corners = [(x, y)]
    numbers = list(map(float, steps.split()))
    for a, b in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + a, y + b
        corners.append((x, y))
    across = max(c[0] for c in corners) - min(c[0] for c in corners)
    down = max(c[1] for c in corners) - min(c[1] for c in corners)
    assert 8 <= max(across, down) <= 15
    assert (max(c[0] for c in corners) + min(c[0] for c in corners)) / 2 == pytest.approx(20, abs=1)
    assert (max(c[1] for c in corners) + min(c[1] for c in corners)) / 2 == pytest.approx(20, abs=1)


def test_a_mark_that_points_up_points_up() -> None:
    canvas = Canvas(100, 50)
    canvas.marks([(20.0, 20.0)], "^", "red", size=10)
    top = float(paths(canvas)[0]["d"].removeprefix("M").split("l")[0].split()[1])
    assert top == pytest.approx(15), "its first corner lies half its size above the centre"


def test_text_is_text_whatever_it_says() -> None:
    canvas = Canvas(100, 50)
    canvas.text((1, 1), "<script>&$x_1$")
    assert "<script>" not in canvas.svg()
    (text,) = ElementTree.fromstring(canvas.svg()).iter(f"{SVG}text")
    assert text.text == "<script>&$x_1$"


def test_the_width_of_text() -> None:
    # DejaVu Sans: each digit is 1303 of 2048 units wide
    assert text_width("0000000000", 10) == pytest.approx(10 * 10 * 1303 / 2048, rel=0.03)
    assert text_width("wide", 10, bold=True) > text_width("wide", 10)
    assert text_width("深層", 10) > 0, "a letter that the font lacks is no error and no warning"


def test_what_is_drawn_under_a_name_is_a_group_with_texts_at_its_points() -> None:
    canvas = Canvas(10, 10)
    points = [((1.04, 2.0), "n = 1"), ((math.nan, 3.0), "n = 5"), ((4.0, 5.0), 'a "<b>"')]
    with canvas.named("a & b", "#D55E00", points):
        canvas.line([(1, 2), (4, 5)], "#D55E00")
    canvas.line([(0, 0), (1, 1)], "black")
    root = ElementTree.fromstring(canvas.svg())
    (group,) = root.findall(f"{SVG}g")
    assert (group.get("data-line"), group.get("data-colour")) == ("a & b", "#D55E00")
    assert json.loads(group.get("data-points") or "") == [
        [1.0, 2.0, "n = 1"],
        [4.0, 5.0, 'a "<b>"'],
    ]
    assert len(group) == 1
    assert len(root) == 2, "what is drawn afterwards lies outside"
