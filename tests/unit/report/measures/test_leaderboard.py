"""The leaderboard: what a purifier cannot gain by breaking models, and which rows are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from remission.records import Cell, Record
from remission.report.groups.results import Results
from remission.report.measures.board_numbers import (
    CHANGE,
    GAP,
    O_ASR,
    SECONDS,
    at_bound,
    at_budget,
    standard,
)
from remission.report.measures.frontier import frontiers
from remission.report.measures.leaderboard import (
    ALL,
    Board,
    BoardRow,
    boards,
    differences,
)
from tests.unit.report.measures.test_frontier import CONTROL, model, references
from tests.unit.report.report_factory import cell, failed, records
from tests.unit.report.tables.test_worst import made as made_ensembles

UNPURIFIED = 0.8
"""The relapse gap of an ASR of 1 above ``CONTROL``."""


def raised(level: float) -> dict[int, float]:
    return {budget: rate + level for budget, rate in CONTROL.items()}


def board_of(made: Sequence[Cell] | Sequence[Record]) -> Board:
    listed = [one if isinstance(one, Record) else records(one)[0] for one in made]
    (board,) = boards(Results(listed))
    return board


def row(board: Board, label: str, attack: str = ALL) -> BoardRow:
    return next(one for one in board.rows if (one.label, one.attack) == (label, attack))


def over_attacks() -> list[Cell]:
    """``ft`` under two attacks with two seeds, ``ep`` under one attack."""
    cells: list[Cell] = []
    for attack, seed, level in (
        ("badnets", 0, 0.1),
        ("badnets", 1, 0.3),
        ("sig", 0, 0.2),
        ("sig", 1, 0.4),
    ):
        more: dict[str, Any] = {"attack": attack, "seed": seed}
        cells += references(**more) + model("ft", 0.9, 0.05, raised(level), **more)
        if attack == "sig":
            cells += model("ep", 0.91, 0.02, raised(level - 0.1 * (1 + seed)), **more)
    return cells


def test_a_number_is_the_mean_over_its_cells_with_students_t() -> None:
    board = board_of(over_attacks())
    gap = row(board, "ft").number(GAP).estimate
    assert gap.mean == pytest.approx(0.25)
    assert gap.half_width == pytest.approx(3.182446 * 0.129099 / 2, rel=1e-4)
    assert row(board, "ft", "sig").number(GAP).estimate.mean == pytest.approx(0.3)
    at = row(board, "ft").number(at_budget(10))
    assert at.cells == pytest.approx(
        {("badnets", 0): 0.1, ("badnets", 1): 0.3, ("sig", 0): 0.2, ("sig", 1): 0.4}
    )
    assert row(board, "ft").number(CHANGE).estimate.mean == pytest.approx(-0.02)
    assert row(board, "ft").number(O_ASR).largest == pytest.approx(0.05)
    assert row(board, "ep").attacks == 1
    assert row(board, "ep").attacks_of_board == 2
    assert [one.label for one in board.overall] == ["ep", "ft"], "the smallest gap first"


def test_a_single_cell_has_the_interval_of_its_test_images() -> None:
    board = board_of([*references(), *model("ft", 0.9, 0.05, raised(0.1))])
    low, high = row(board, "ft").number(GAP).estimate.interval or (0.0, 0.0)
    assert 0.08 < low < 0.1 < high < 0.12
    low, high = row(board, "ft").number(at_budget(10)).estimate.interval or (0.0, 0.0)
    assert 0.08 < low < 0.1 < high < 0.12


@pytest.mark.parametrize("how", ["unchanged", "broken", "failed"])
def test_a_purifier_gains_nothing_by_a_model_that_it_spoils(how: str) -> None:
    spoilt = {
        "unchanged": model("ft", 0.92, 0.99, raised(0.0), seed=1, applied=False),
        "broken": model("ft", 0.7, 0.0, raised(0.0), seed=1),
        "failed": [failed(purifier="ft", seed=1)],
    }[how]
    board = board_of([*references(), *references(seed=1), *model("ft", 0.9, 0, CONTROL), *spoilt])
    ft = row(board, "ft")
    assert ft.number(GAP).cells == pytest.approx({("badnets", 0): 0.0, ("badnets", 1): UNPURIFIED})
    after = {("badnets", 0): 0.0, ("badnets", 1): 1 - CONTROL[10]}
    assert ft.number(at_budget(10)).cells == pytest.approx(after)


def test_a_cell_that_is_not_retuned_yet_does_not_count() -> None:
    partly = [one for one in model("ft", 0.9, 0.0, CONTROL, seed=1) if one.budget in (None, 1)]
    board = board_of([*references(), *references(seed=1), *model("ft", 0.9, 0, CONTROL), *partly])
    assert set(row(board, "ft").number(GAP).cells) == {("badnets", 0)}
    assert len(row(board, "ft").number(at_budget(1)).cells) == 2


def test_only_the_retuning_of_the_paper_is_the_standard() -> None:
    other = [
        cell(asr=0.9, purifier=name, reactivation="retuning", reactivation_params={"lr": 0.1},
             budget=budget, clean_acc=0.9)
        for name in ("control", "ft") for budget in (1, 10)
    ]  # fmt: skip
    made = [*references(), *model("ft", 0.9, 0.05, raised(0.1)), *other]
    board = board_of(made)
    assert row(board, "ft").number(GAP).estimate.mean == pytest.approx(0.1)
    assert {one.id for one in other}.isdisjoint(row(board, "ft").number(GAP).records)
    (group,) = Results(records(*made)).groups
    assert sorted(standard(one.reactivation) for one in group.columns) == [False] * 2 + [True] * 3


def test_a_victim_without_a_backdoor_says_nothing() -> None:
    made = [cell(asr=0.2), *model("control", 0.92, 0.01, CONTROL), *model("ft", 0.9, 0, CONTROL)]
    assert row(board_of(made), "ft").numbers == {}


def test_the_records_behind_a_number_are_those_of_its_cells() -> None:
    made = [
        *references(), *references(seed=1),
        *model("ft", 0.9, 0.05, raised(0.1)), *model("ft", 0.9, 0.05, raised(0.3), seed=1),
        *model("ep", 0.9, 0.05, CONTROL),
    ]  # fmt: skip
    board = board_of(made)
    wanted = {
        one.id
        for one in made
        if one.purifier in ("ep", "control") and one.seed == 0
        and (one.budget == 10 or (one.purifier == "ep" and one.budget is None))
    }  # fmt: skip
    assert set(row(board, "ep").number(at_budget(10)).records) == wanted
    assert len(row(board, "ft").number(GAP).records) == 2 * (1 + 3 + 3)
    before = {one.id for one in made if one.purifier == "ft" and one.budget is None}
    assert set(row(board, "ft").number(O_ASR).records) == before


def test_a_difference_is_paired_by_cells() -> None:
    board = board_of(over_attacks())
    pair = next(
        one for one in differences(board) if board.rows[one.first].attack == ALL
    )  # ep before ft
    mean, half, cells = pair.values[0] or (0.0, None, 0)
    assert (board.rows[pair.first].label, board.rows[pair.second].label) == ("ep", "ft")
    assert mean == pytest.approx(-0.15)
    assert cells == 2
    assert half == pytest.approx(12.7062 * 0.05, rel=1e-4)
    assert all(
        board.rows[one.first].attack == board.rows[one.second].attack for one in differences(board)
    )


def test_it_agrees_with_the_frontier_at_any_cost() -> None:
    """A purifier with a single setting has the same relapse there, however much it costs."""
    made = [
        *references(), *references(seed=1),
        *model("ft", 0.915, 0.05, raised(0.1)), *model("ft", 0.7, 0.0, CONTROL, seed=1),
    ]  # fmt: skip
    (line,) = frontiers(Results(records(*made)).groups)
    assert dict(line.at[-1].relapses) == pytest.approx(
        dict(row(board_of(made), "ft").number(GAP).cells)
    )


def test_the_worst_gap_is_that_of_the_ensembles() -> None:
    board = board_of(made_ensembles())
    found = {one.label: one.number(at_bound(0.03)).estimate.mean for one in board.overall}
    assert found == pytest.approx({"ft": 0.5, "ep": 0.2, "nad": 0.7})
    behind = row(board, "ft").number(at_bound(0.03)).records
    assert len([name for name in behind if name.startswith("ensemble-")]) == 2, "and the control's"


def test_a_model_that_was_spoilt_has_the_worst_gap_of_the_victim() -> None:
    spoilt = [one for one in made_ensembles() if one.cell is None or one.cell.purifier != "ft"]
    victim = cell(purifier="ft", asr=0.99, clean_acc=0.9, validation_asr=0.99,
                  validation_clean_acc=0.9, applied=False)  # fmt: skip
    board = board_of([*spoilt, *records(victim)])
    number = row(board, "ft").number(at_bound(0.03))
    assert number.estimate.mean == pytest.approx(0.9), "the control's own worst is 0.1"
    assert number.estimate.interval is None


def test_what_a_purifier_is_given_depends_on_its_setting() -> None:
    made = references()
    for params in ({"trigger": "true"}, {"trigger": "inverted"}):
        made += model("pam", 0.9, 0.02, CONTROL, purifier_params=params)
    made += model("ep", 0.9, 0.02, CONTROL)
    given = {one.label: one.needs for one in board_of(made).overall}
    assert given.pop("ep") == ("clean images", "true trigger")
    assert sorted(given.values()) == [
        ("clean images", "inverted trigger"),
        ("clean images", "true trigger"),
    ]


def test_seconds_are_the_mean_over_the_attacks() -> None:
    made = [*references(), *references(attack="sig")]
    made += model("ft", 0.9, 0.02, CONTROL, cpu_seconds=10.0)
    made += model("ft", 0.9, 0.02, CONTROL, cpu_seconds=30.0, attack="sig")
    assert row(board_of(made), "ft").number(SECONDS).estimate.mean == pytest.approx(20.0)


def test_the_interval_of_a_change_is_that_of_the_seeds_that_count() -> None:
    """One of two victims has no backdoor: the change and its interval are of the other seed."""
    cells = over_attacks()[: len(over_attacks()) // 2]
    alone = [one for one in cells if one.seed == 0]
    weak = [replace(one, asr=0.1) if one.seed and one.purifier == "none" else one for one in cells]
    both, single = (row(board_of(made), "ft").number(CHANGE).estimate for made in (weak, alone))
    assert both.n == 1
    assert both.interval == single.interval
    assert both.interval is not None
    assert both.interval[0] > -0.1


def test_no_interval_of_a_difference_of_rates_leaves_the_possible() -> None:
    board = board_of([one for one in over_attacks() if one.attack == "badnets"])
    for name in (GAP, at_budget(10), CHANGE):
        ends = row(board, "ft").number(name).estimate.interval
        assert ends is not None
        assert -1 <= ends[0] <= ends[1] <= 1, name
