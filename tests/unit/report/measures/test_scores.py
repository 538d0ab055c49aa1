from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.measures.relapse_gap import Bound, area_between, ratio, reach, weights
from remission.report.measures.scores import scores
from remission.report.page.page import write_report
from remission.report.tables.render import render
from remission.report.tables.scores import score_table
from tests.unit.report.report_factory import cell, failed, grid, records, write_store

Curve = dict[int, float]


def curve(purifier: str, rates: Curve, **more: Any) -> list[Cell]:  # noqa: ANN401  # any field
    return [
        cell(purifier=purifier, reactivation="retuning", budget=n, asr=asr, **more)
        for n, asr in rates.items()
    ]


def store(purified: Curve, control: Curve | None, **more: Any) -> list[Cell]:  # noqa: ANN401
    made = [cell(asr=0.99, **more), cell(purifier="ft", asr=0.02, **more)]
    made += curve("ft", purified, **more)
    if control is not None:
        made += [cell(purifier="control", asr=0.01, **more), *curve("control", control, **more)]
    return made


def one(made: list[Cell]) -> Any:  # noqa: ANN401  # short in the tests
    (group,) = summarise(records(*made))
    (found,) = scores(group)
    return found


def test_weights_by_hand() -> None:
    assert weights([1, 10, 100]) == pytest.approx([0.25, 0.5, 0.25])
    assert weights([1, 10, 1000]) == pytest.approx([1 / 6, 1 / 2, 1 / 3])


def test_a_gap_by_hand() -> None:
    found = one(store({1: 0.0, 10: 0.5, 100: 1.0}, {1: 0.0, 10: 0.1, 100: 0.2}))
    # 0.25 * 0 + 0.5 * 0.4 + 0.25 * 0.8
    assert found.gap.mean == pytest.approx(0.4)
    assert found.budgets == (1, 10, 100)
    assert found.purified.at.value == pytest.approx(10)
    assert (found.purified.at.relation, found.control.at) == ("=", Bound(100, ">"))
    assert str(found.ratio) == ">10"


def test_models_that_were_not_purified_are_in_one_of_two_gaps() -> None:
    made = []
    for seed, (o_asr, after) in enumerate(((0.02, 0.3), (0.02, 0.4), (0.9, 1.0))):
        made += [
            replace(each, asr=o_asr) if each.purifier == "ft" and each.budget is None else each
            for each in store({1: after, 100: after}, {1: 0.1, 100: 0.1}, seed=seed)
        ]
    found = one(made)
    assert found.gap.mean == pytest.approx((0.2 + 0.3 + 0.9) / 3)
    assert found.purified_gap.mean == pytest.approx(0.25)
    assert (found.gap.n, found.purified_gap.n) == (3, 2)
    assert (found.cells.purified, found.cells.cells) == (2, 3)
    (line,) = json.loads(render(records(*made), "scores", "json"))
    assert line["relapse_gap_of_purified"] == pytest.approx(0.25)
    assert (line["cells"], line["cells_purified"], line["seeds_of_purified"]) == (3, 2, 2)
    (row,) = (
        each for each in render(records(*made), "scores", "text").splitlines() if "2 of 3" in each
    )
    assert row.startswith("ft ")


def test_half_is_interpolated_in_the_logarithm() -> None:
    assert reach([1, 100], [0.2, 0.8]).value == pytest.approx(10)
    assert reach([5, 20, 100], [0.1, 0.3, 0.7]).value == pytest.approx(math.sqrt(20 * 100))
    assert reach([1, 5], [0.6, 0.9]) == Bound(1, "<=")
    assert reach([1, 5], [0.1, 0.4]) == Bound(5, ">")
    assert reach([1, 5, 20], [0.1, 0.7, 0.2]).value < 5, "the smallest one, if it falls again"


@pytest.mark.parametrize(
    ("purified", "control", "shown"),
    [
        (Bound(5), Bound(100, ">"), ">20"),
        (Bound(5), Bound(50), "10"),
        (Bound(1, "<="), Bound(50), "≥50"),
        (Bound(1, "<="), Bound(100, ">"), ">100"),
        (Bound(50), Bound(1, "<="), "≤0.02"),
        (Bound(100, ">"), Bound(50), "<0.5"),
        (Bound(100, ">"), Bound(1, "<="), "<0.01"),
        (Bound(100, ">"), Bound(100, ">"), "None"),
        (Bound(1, "<="), Bound(1, "<="), "None"),
    ],
)
def test_ratios(purified: Bound, control: Bound, shown: str) -> None:
    assert str(ratio(purified, control)) == shown


def test_the_interval_of_seeds_is_students() -> None:
    made = []
    for seed, height in enumerate((0.5, 0.6, 0.7)):
        made += store({1: height, 100: height}, {1: 0.1, 100: 0.1}, seed=seed)
    found = one(made).gap
    assert (found.mean, found.n) == (pytest.approx(0.5), 3)
    assert found.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)


def test_the_interval_of_one_seed_by_hand() -> None:
    made = [cell(purifier="ft", asr=0.02)]
    for n, asr, ends in ((1, 0.5, (0.4, 0.6)), (10, 0.8, (0.7, 0.9)), (100, 1.0, (0.9, 1.0))):
        back: dict[str, Any] = {"reactivation": "retuning", "budget": n}
        made.append(cell(purifier="ft", asr=asr, asr_interval=ends, **back))
        made.append(cell(purifier="control", asr=0.1, asr_interval=(0.07, 0.14), **back))
    found = one(made)
    down, up = math.hypot(0.1, 0.04), math.hypot(0.1, 0.03)
    assert found.gap.mean == pytest.approx(0.25 * 0.4 + 0.5 * 0.7 + 0.25 * 0.9)
    low, high = found.gap.interval
    assert low == pytest.approx(found.gap.mean - down)
    # the last point has no room above but the control's
    assert high == pytest.approx(found.gap.mean + 0.75 * up + 0.25 * 0.03)
    # the ends of the points' intervals: 0.6 at n = 1, and 0.4 -> 0.7 crosses one half on the way
    assert (found.purified.at, found.purified.first) == (Bound(1, "<="), Bound(1, "<="))
    assert found.purified.last.value == pytest.approx(10 ** (1 / 3))


def test_seeds_without_all_budgets_are_left_out() -> None:
    made = store({1: 0.5, 100: 0.5}, {1: 0.0, 100: 0.0})
    short = [c for c in store({1: 0.9, 100: 0.9}, {1: 0.0, 100: 0.0}, seed=1) if c.budget != 100]
    found = one(made + short)
    assert (found.gap.mean, found.gap.n) == (pytest.approx(0.5), 1)
    within = store({1: 0.9, 10: 0.9, 100: 0.9}, {1: 0.0, 10: 0.0, 100: 0.0}, seed=2)
    assert one(made + within).gap.mean == pytest.approx(0.9), "the fullest curve"
    gone = failed(purifier="ft", reactivation="retuning", budget=10)
    assert one([*made, gone]).gap.failed == 1
    assert one([*made, gone]).gap.mean == pytest.approx(0.5)


def test_what_cannot_be_scored() -> None:
    (alone,) = summarise(records(*store({5: 0.5}, {5: 0.1})))
    assert scores(alone) == []
    assert score_table(alone) is None
    bare = one(store({1: 0.1, 100: 0.9}, None))
    assert (bare.gap.mean, bare.control, bare.ratio) == (None, None, None)
    assert bare.purified.at.value == pytest.approx(10)
    assert render(records(*store({5: 0.5}, {5: 0.1})), "scores", "text") == ""


RATES = st.floats(0, 1)
BUDGETS = st.lists(st.integers(1, 10_000), min_size=2, max_size=6, unique=True).map(sorted)


@st.composite
def curves(draw: st.DrawFn) -> tuple[list[int], list[float], list[float]]:
    budgets = draw(BUDGETS)
    ours, theirs = (
        draw(st.lists(RATES, min_size=len(budgets), max_size=len(budgets))) for _ in range(2)
    )
    return budgets, ours, theirs


@settings(deadline=None, max_examples=50)
@given(curves())
def test_bounds_and_antisymmetry(found: tuple[list[int], list[float], list[float]]) -> None:
    budgets, ours, theirs = found
    gap = area_between(budgets, ours, theirs)
    assert -1 - 1e-12 <= gap <= 1 + 1e-12
    assert area_between(budgets, theirs, ours) == pytest.approx(-gap, abs=1e-12)
    assert area_between(budgets, ours, ours) == 0
    assert math.fsum(weights(budgets)) == pytest.approx(1)
    raised = [min(1.0, rate + 0.1) for rate in ours]
    assert area_between(budgets, raised, theirs) >= gap - 1e-12
    assert area_between(budgets, [1.0] * len(ours), [0.0] * len(ours)) == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(curves(), st.floats(0.01, 100), st.floats(0.01, 0.99))
def test_invariance(
    found: tuple[list[int], list[float], list[float]], factor: float, share: float
) -> None:
    """The unit of the budget does not matter, nor a further point on the same curve."""
    budgets, ours, theirs = found
    gap = area_between(budgets, ours, theirs)
    assert area_between([factor * n for n in budgets], ours, theirs) == pytest.approx(gap, abs=1e-9)
    assume(budgets[1] > budgets[0])
    between = math.exp((1 - share) * math.log(budgets[0]) + share * math.log(budgets[1]))
    more = [
        [values[0], (1 - share) * values[0] + share * values[1], *values[1:]]
        for values in (ours, theirs)
    ]
    finer = [budgets[0], between, *budgets[1:]]
    assert area_between(finer, *more) == pytest.approx(gap, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(curves())
def test_half_lies_where_the_curve_gets_there(
    found: tuple[list[int], list[float], list[float]],
) -> None:
    budgets, ours, _ = found
    at = reach(budgets, ours)
    assert budgets[0] <= at.value * (1 + 1e-12)
    assert at.value <= budgets[-1] * (1 + 1e-12)
    assert (at.relation == ">") == (max(ours) < 0.5)
    higher = reach(budgets, [min(1.0, rate + 0.05) for rate in ours])
    assert higher.value <= at.value * (1 + 1e-9)


def test_the_views(tmp_path: Path) -> None:
    made = grid(tmp_path)
    text = render(made, "scores", "text")
    assert "relapse gap" in text
    assert any(line.startswith("pam (rho=0.5)") and ">100" in line for line in text.splitlines())
    markdown = render(made, "scores", "markdown")
    assert markdown.startswith("### fashion-mnist")
    lines = json.loads(render(made, "scores", "json"))
    by_label = {line["label"]: line for line in lines}
    assert by_label["ft"]["relapse_gap"] > by_label["nad"]["relapse_gap"] > 0.3
    assert abs(by_label["pam (rho=0.5)"]["relapse_gap"]) < 0.1
    assert by_label["ft"]["budgets"] == [1, 5, 20, 100]
    assert by_label["anp"]["failed"] == 1
    assert by_label["ft"]["half_at"] == pytest.approx(1.2, rel=0.3)
    table = list(csv.DictReader(io.StringIO(render(made, "scores", "csv"))))
    assert [line["label"] for line in table] == [line["label"] for line in lines]
    assert float(table[0]["relapse_gap"]) == lines[0]["relapse_gap"]


def test_the_page_shows_the_scores(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(write_store(tmp_path / "store", grid(tmp_path / "store", seeds=3)), out)
    page = out.read_text()
    assert "Relapse scores" in page
    assert "n at ASR 50 %" in page
    assert "Student-t interval over the seeds" in page


def test_a_perturbation_that_fools_the_control_as_well_has_no_gap() -> None:
    made = [cell(asr=0.99), cell(purifier="control", asr=0.01), cell(purifier="ft", asr=0.02)]
    for n in (1, 100):
        qra: dict[str, Any] = {"reactivation": "qra", "budget": n, "asr_clean": 0.1}
        made.append(cell(purifier="control", asr=0.05, control_asr=0.05, **qra))
        made.append(cell(purifier="ft", asr=0.8, control_asr=0.7, control_asr_clean=0.7, **qra))
    found = one(made)
    assert found.gap.mean == pytest.approx(0.1)
    assert found.gap.interval[0] < 0.1 < found.gap.interval[1] < 0.2
    assert found.control.at == Bound(1, "<=")


def test_budgets_that_most_seeds_have_are_counted() -> None:
    longer = store({1: 0.2, 5: 0.2, 20: 0.9}, {1: 0.0, 5: 0.0, 20: 0.0})
    others = [
        each for seed in (1, 2) for each in store({1: 0.2, 5: 0.2}, {1: 0.0, 5: 0.0}, seed=seed)
    ]
    found = one([*longer, *others])
    assert (found.budgets[:2], found.gap.n) == ((1, 5), 2)
    assert found.gap.mean == pytest.approx(0.2)


def test_what_lost_its_accuracy_is_not_scored() -> None:
    control = {1: 0.0, 5: 0.0, 20: 0.0}
    made = store({1: 0.2, 5: 0.2}, control)
    broken = cell(purifier="ft", reactivation="retuning", budget=20, asr=1.0, clean_acc=0.3)
    found = one([*made, broken])
    assert (found.budgets, found.gap.mean) == ((1, 5), pytest.approx(0.2))
    (group,) = summarise(records(*store({1: 0.2, 5: 0.2, 20: 1.0}, control)))
    assert len(scores(group)) == 1
    purified = [
        replace(each, clean_acc=0.5) if each.purifier == "ft" else each
        for each in store({1: 0.2, 5: 0.2, 20: 1.0}, control)
    ]
    (group,) = summarise(records(*purified))
    assert scores(group) == []
