from __future__ import annotations

import math

import pytest

from remission.report.figures.canvas import Canvas
from remission.report.figures.frame import Frame, Scale, rounded


def test_the_scale_of_poisoned_images_shows_0_and_factors_of_10_alike() -> None:
    scale = Scale(0, 100, "symlog")
    places = [scale.share(x) for x in (0, 1, 10, 100)]
    assert places[0] == 0
    assert places[3] == 1
    assert places[3] - places[2] == pytest.approx(places[2] - places[1])
    assert (places[1] - places[0]) / (places[2] - places[1]) == pytest.approx(2 / 3)


def test_a_logarithmic_scale() -> None:
    scale = Scale(0.1, 10, "log")
    assert scale.share(1) == pytest.approx(0.5)
    assert math.isnan(scale.share(0))
    assert scale.ticks(9) == [0.1, 0.2, 0.5, 1, 2, 5, 10]


def test_a_scale_around_values_leaves_room_at_both_ends() -> None:
    scale = Scale.around([2.0, math.nan, 12.0])
    assert (scale.low, scale.high) == (1.5, 12.5)
    same = Scale.around([3.0, 3.0])
    assert same.low < 3.0 < same.high
    assert Scale.around([], "log").low > 0
    spread = Scale.around([1.0, 100.0, 0.0], "log")
    assert spread.share(1.0) == pytest.approx(1 - spread.share(100.0))


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0, 20, 40], ["0", "20", "40"]),
        ([0.0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([-0.2, 0.0, 0.2], ["−0.2", "0.0", "0.2"]),
        ([0.000, 0.005], ["0.000", "0.005"]),
    ],
)
def test_ticks_have_as_many_digits_as_they_need(ticks: list[float], texts: list[str]) -> None:
    assert rounded(ticks) == texts


def test_a_frame_puts_values_where_its_scales_say() -> None:
    frame = Frame(Canvas(200, 100), (20, 10), 160, 80, Scale(0, 10), Scale(0, 1))
    assert frame.at(0, 0) == (20, 90)
    assert frame.at(10, 1) == (180, 10)
    assert frame.at(5, 0.25) == (100, 70)


def test_what_lies_outside_ends_at_the_frame() -> None:
    frame = Frame(Canvas(100, 100), (10, 20), 60, 40, Scale(0, 4), Scale(-1, 1))
    assert frame.within(2, 0) == frame.at(2, 0) == (40, 40)
    assert frame.within(-9, 0) == (10, 40)
    assert frame.within(5, -7) == (70, 60)
