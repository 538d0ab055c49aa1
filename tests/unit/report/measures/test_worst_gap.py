"""The worst of many retunings, by hand: chosen on the validation, reported on test images."""

from __future__ import annotations

import pytest

from remission.intervals import newcombe, wilson
from remission.records import Cell, Record
from remission.records.ensemble import EnsembleDetails, EnsembleEntry
from remission.report.groups.results import Results
from remission.report.measures.worst_gap import (
    BOUNDS,
    WorstRow,
    choose,
    over_attacks,
    tried,
    worst_rows,
)
from tests.unit.report.ensemble_factory import ensemble_of, entry, measured
from tests.unit.report.report_factory import cell, records

VICTIM = {"asr": 0.99, "validation_asr": 0.99, "clean_acc": 0.9, "validation_clean_acc": 0.9}
AT = dict(zip(BOUNDS, range(len(BOUNDS)), strict=True))


def rows(*made: Record) -> list[WorstRow]:
    results = Results.of([*records(cell(**VICTIM)), *made])
    ensembles = tried(results)
    return [row for group in results.groups for row in worst_rows(group, ensembles)]


def one_model(
    model: Cell, ours: list[EnsembleEntry], control: Cell, theirs: list[EnsembleEntry]
) -> list[Record]:
    return [
        *records(model, control),
        ensemble_of(model, *ours),
        ensemble_of(control, *theirs),
    ]


# What each retuning reaches: ASR on the validation, ASR on test images, accuracy on the validation.
OURS = [
    entry(0.3, 0.35, 0.895, lr=0.01),
    entry(0.6, 0.5, 0.875, lr=0.03),
    entry(0.9, 0.8, 0.86, lr=0.1),
    entry(1.0, 1.0, 0.7, lr=0.3),
]
THEIRS = [
    entry(0.02, 0.01, 0.91, lr=0.01),
    entry(0.1, 0.2, 0.9, lr=0.03),
    entry(0.15, 0.12, 0.87, lr=0.1),
    entry(0.99, 0.99, 0.5, lr=0.3),
]
FT, CONTROL = measured("ft", 0.05, 0.9), measured("control", 0.01, 0.91)


def test_by_hand() -> None:
    (row,) = rows(*one_model(FT, OURS, CONTROL, THEIRS))
    assert [at.bound for at in row.at] == [0.01, 0.03, 0.05]
    assert [at.ours[0].index for at in row.at] == [0, 1, 2]
    assert [at.control[0].index for at in row.at] == [1, 1, 2]
    gaps = [at.gap.mean for at in row.at]
    assert gaps == pytest.approx([0.35 - 0.2, 0.5 - 0.2, 0.8 - 0.12])
    assert row.at[AT[0.03]].asr == 0.5
    assert row.at[AT[0.03]].control_asr == 0.2


def test_one_seed_has_newcombes_interval() -> None:
    (row,) = rows(*one_model(FT, OURS, CONTROL, THEIRS))
    expected = newcombe(0.5, wilson(4500, 9000), 0.2, wilson(1800, 9000))
    assert row.at[AT[0.03]].gap.interval == pytest.approx(expected)


def test_several_seeds_have_students_t() -> None:
    made = [*one_model(FT, OURS, CONTROL, THEIRS)]
    other = [entry(0.3, 0.4, 0.895, lr=e.retuning["lr"]) for e in OURS]
    ft, control = measured("ft", 0.05, 0.9, seed=1), measured("control", 0.01, 0.91, seed=1)
    made += [*records(cell(**VICTIM, seed=1)), *one_model(ft, other, control, THEIRS)]
    (row,) = rows(*made)
    at = row.at[AT[0.03]]
    assert at.gap.n == 2
    assert at.gap.mean == pytest.approx((0.3 + 0.2) / 2)
    # Student's t with one degree of freedom: 12.706 * 0.05
    assert at.gap.half_width == pytest.approx(12.7062 * 0.05, rel=1e-4)


def test_a_cost_that_equals_the_bound_is_within_it() -> None:
    made = EnsembleDetails(entries=[entry(0.5, 0.6, 0.9 - 0.03)])
    assert choose(FT, made, 0.03).index == 0
    made = EnsembleDetails(entries=[entry(0.5, 0.6, 0.9 - 0.0301)])
    assert choose(FT, made, 0.03).index is None


def test_where_no_retuning_is_within_the_bound_the_model_stays_as_it_is() -> None:
    ours = [entry(1.0, 1.0, 0.8), entry(None, lr=0.1)]
    theirs = [entry(0.9, 0.9, 0.91), entry(0.95, 0.95, 0.5, lr=0.1)]
    (row,) = rows(*one_model(FT, ours, CONTROL, theirs))
    at = row.at[AT[0.03]]
    assert (at.ours[0].entry, at.ours[0].measured.asr) == (None, 0.05)
    assert at.control[0].index == 0
    assert at.gap.mean == pytest.approx(0.05 - 0.9)


def test_of_equal_rates_the_cheaper_is_the_worst_and_then_the_first() -> None:
    made = EnsembleDetails(
        entries=[
            entry(0.5, 0.1, 0.88),
            entry(0.5, 0.2, 0.89, lr=0.1),
            entry(0.5, 0.3, 0.89, lr=0.2),
        ]
    )
    assert choose(FT, made, 0.03).index == 1


def test_test_images_choose_nothing() -> None:
    made = EnsembleDetails(entries=[entry(0.4, 0.1), entry(0.3, 0.99, lr=0.1)])
    assert choose(FT, made, 0.03).measured.asr == 0.1


def test_a_model_without_a_controls_ensemble_has_no_worst_gap() -> None:
    made = [*records(FT, CONTROL), ensemble_of(FT, *OURS)]
    assert rows(*made) == []
    assert rows(*made, ensemble_of(CONTROL, *THEIRS[:2])) == [], "another list of retunings"


def test_the_list_that_the_most_seeds_have_counts_and_then_the_last() -> None:
    made = [
        *records(FT, CONTROL),
        ensemble_of(FT, *OURS, finished="2"),
        ensemble_of(CONTROL, *THEIRS, finished="2"),
        ensemble_of(FT, *OURS[:1], finished="3"),
        ensemble_of(CONTROL, *THEIRS[:1], finished="3"),
    ]
    assert len(rows(*made)[0].entries) == 1
    ft, control = measured("ft", 0.05, 0.9, seed=1), measured("control", 0.01, 0.91, seed=1)
    more = [*records(cell(**VICTIM, seed=1)), *one_model(ft, OURS, control, THEIRS)]
    (row,) = rows(*made, *more)
    assert len(row.entries) == 4
    assert row.at[0].gap.n == 2


def test_purified_cells_are_told_apart() -> None:
    kept = measured("ft", 0.9, 0.9)
    (row,) = rows(*one_model(kept, OURS, CONTROL, THEIRS))
    assert row.at[1].gap.mean == pytest.approx(0.3)
    assert row.at[1].purified.mean is None
    (row,) = rows(*one_model(FT, OURS, CONTROL, THEIRS))
    assert row.at[1].purified == row.at[1].gap


def test_a_model_that_was_not_purified_at_all_is_not_judged() -> None:
    unapplied = measured("ft", 0.05, 0.9, applied=False)
    assert rows(*one_model(unapplied, OURS, CONTROL, THEIRS)) == []
    broken = measured("ft", 0.05, 0.5)
    broken_rows = rows(*one_model(broken, OURS, CONTROL, THEIRS))
    assert broken_rows == []


def test_over_attacks() -> None:
    first = rows(*one_model(FT, OURS, CONTROL, THEIRS))[0].at
    assert over_attacks([first[1].gap]) == first[1].gap
    both = over_attacks([first[0].gap, first[1].gap])
    assert both.mean == pytest.approx((0.15 + 0.3) / 2)
    assert both.half_width == pytest.approx(12.7062 * 0.075, rel=1e-4)
    assert not over_attacks([]).known
