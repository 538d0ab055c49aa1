"""Rates, and 95 % confidence intervals of rates, differences of rates, and means. No torch here.

Values of rates are fractions in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[float, float]
"""Lower and upper end."""

CONFIDENCE = 0.95


def wilson(hits: int, total: int) -> Interval:
    """Returns Wilson's score interval of the rate ``hits / total`` (JASA 1927).

    Args:
        hits: between 0 and ``total``.
        total: at least 1.
    """
    from scipy.stats import binomtest

    bounds = binomtest(hits, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(bounds.low), float(bounds.high)


@dataclass(frozen=True)
class Rate:
    """A fraction ``hits / total``, where ``total`` is a number of images."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The fraction, in [0, 1]."""
        return self.hits / self.total

    @property
    def interval(self) -> Interval:
        """95 % Wilson score interval (Wilson, JASA 1927)."""
        return wilson(self.hits, self.total)


def wilson_of_rate(rate: float | None, total: int) -> Interval | None:
    """Returns Wilson's interval of a rate over ``total`` images; None where nothing is known."""
    return None if rate is None or total < 1 else wilson(round(rate * total), total)


def newcombe(ours: float, here: Interval, theirs: float, there: Interval) -> Interval:
    """Returns the interval of ``ours - theirs`` (Newcombe, Statistics in Medicine 1998, method 10).

    Args:
        ours: a rate.
        here: its interval.
        theirs: a rate that was measured independently of it.
        there: its interval.
    """
    difference = ours - theirs
    down = math.hypot(ours - here[0], there[1] - theirs)
    up = math.hypot(here[1] - ours, theirs - there[0])
    return difference - down, difference + up


def mean_of(values: Sequence[float]) -> float:
    """Returns the mean of at least one value."""
    return math.fsum(values) / len(values)


def student_half_width(values: Sequence[float]) -> float | None:
    """Returns half the width of Student's t interval of the mean; None below two values."""
    n = len(values)
    if n < 2:
        return None
    from scipy.special import stdtrit  # slow to import, and with one seed there is no interval

    mean = mean_of(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    return quantile * math.sqrt(variance / n)
