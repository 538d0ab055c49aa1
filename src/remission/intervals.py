"""Rates, and 95 % confidence intervals of rates, differences of rates, and means. No torch here.

Values of rates are fractions in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

Interval = tuple[float, float]
"""Lower and upper end."""

CONFIDENCE = 0.95
_Z = 1.959963984540054
"""The quantile of the normal distribution that belongs to it, at (1 + CONFIDENCE) / 2."""


def wilson(hits: int, total: int) -> Interval:
    """Returns Wilson's score interval of the rate ``hits / total`` (JASA 1927).

    Args:
        hits: between 0 and ``total``.
        total: at least 1.
    """
    rate, square = hits / total, _Z**2
    denominator = 2 * (total + square)
    centre = (2 * total * rate + square) / denominator
    half = _Z / denominator * math.sqrt(4 * total * rate * (1 - rate) + square)
    return centre - half if hits else 0.0, centre + half if hits < total else 1.0


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


def around(mean: float, half: float) -> Interval:
    """Returns ``mean`` minus and plus ``half``, cut to [-1, 1], where differences of rates lie."""
    return max(-1.0, mean - half), min(1.0, mean + half)


def newcombe(ours: float, here: Interval, theirs: float, there: Interval) -> Interval:
    """Returns the interval of ``ours - theirs`` (Newcombe, Statistics in Medicine 1998, method 10).

    Args:
        ours: a rate.
        here: its interval.
        theirs: another rate. The formula takes the two as independent. Where they are measured on
            the same images, as a gap to the control is, the interval is rather too wide.
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
    mean = mean_of(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return student_quantile(n - 1) * math.sqrt(variance / n)


@cache
def student_quantile(degrees: int) -> float:
    """Returns the t that a variable of Student's distribution exceeds in size with 5 %.

    The probability of a smaller size is a finite sum of powers of cos(a) with t = sqrt(degrees)
    tan(a) (Abramowitz and Stegun, 26.7.3 and 26.7.4); a is found by halving its interval.

    Args:
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        if _within(angle, degrees) < CONFIDENCE:
            low = angle
        else:
            high = angle
    return math.sqrt(degrees) * math.tan(high)


def _within(angle: float, degrees: int) -> float:
    """Returns P(|t| < sqrt(degrees) tan(angle)) with whole degrees of freedom."""
    odd, square = degrees % 2, math.cos(angle) ** 2
    term = math.cos(angle) if odd else 1.0
    terms = [term] if degrees > 1 else []
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * square
        terms.append(term)
    series = math.sin(angle) * math.fsum(terms)
    return 2 / math.pi * (angle + series) if odd else series
