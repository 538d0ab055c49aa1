"""Estimates as text."""

from __future__ import annotations

import pytest

from remission.report.groups.estimates import plus_minus


@pytest.mark.parametrize(
    ("half", "text"),
    [
        (None, ""),
        (0.0, " ± 0.0"),
        (0.0213, " ± 2.1"),
        (1.0, " ± 100.0"),
        (1.001, " ± >100"),
        (float("inf"), " ± >100"),
    ],
)
def test_an_interval_that_says_nothing_has_no_width(half: float | None, text: str) -> None:
    assert plus_minus(half) == text
