"""Intervals against the textbook's formulas, written out once more."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from scipy.special import stdtrit
from scipy.stats import binomtest

from remission.intervals import (
    Rate,
    newcombe,
    student_half_width,
    student_quantile,
    wilson,
    wilson_of_rate,
)
from tests.unit.report.report_factory import wilson as by_formula


@pytest.mark.parametrize(("hits", "total"), [(0, 50), (2700, 9000), (7, 7), (1, 4)])
def test_wilson_is_the_score_interval(hits: int, total: int) -> None:
    wanted = pytest.approx(by_formula(hits / total, total), abs=1e-6)
    assert wilson(hits, total) == wanted
    assert wilson_of_rate(hits / total, total) == wanted
    assert Rate(hits, total).interval == wanted


def test_what_was_not_measured_has_no_interval() -> None:
    assert wilson_of_rate(None, 5) is None
    assert wilson_of_rate(0.5, 0) is None


def test_newcombe_gives_the_example_of_the_paper() -> None:
    # Newcombe 1998, table II, contrast (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339
    low, high = newcombe(56 / 70, wilson(56, 70), 48 / 80, wilson(48, 80))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_student_over_three_values() -> None:
    assert student_half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert student_half_width([1.0]) is None


def test_wilson_is_scipys_to_the_last_bit() -> None:
    """Records hold these intervals; records of before were computed by scipy."""
    for total in (1, 7, 300, 2700, 10_000):
        for hits in {0, 1, total // 3, total // 2, total - 1, total}:
            bounds = binomtest(hits, total).proportion_ci(0.95, method="wilson")
            assert wilson(hits, total) == (bounds.low, bounds.high)


def test_students_quantile_is_scipys() -> None:
    for degrees in (*range(1, 40), 99, 100, 1234, 9999):
        wanted = float(stdtrit(degrees, 0.975))
        assert student_quantile(degrees) == pytest.approx(wanted, rel=1e-12)


def test_intervals_import_no_torch() -> None:
    code = "import sys, remission.intervals; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
