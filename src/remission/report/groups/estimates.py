"""Means over seeds with their intervals. Rates are fractions in [0, 1] until they are printed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from remission.intervals import (
    Interval,
    around,
    mean_of,
    newcombe,
    student_half_width,
    wilson_of_rate,
)
from remission.records import Cell

Measure = Literal[
    "clean_acc",
    "asr",
    "robust_acc",
    "seconds",
    "cpu_seconds",
    "asr_clean",
    "control_asr",
    "control_asr_clean",
    "queries",
    "validation_clean_acc",
    "validation_asr",
]

MISSING = "–"
FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number of a table.

    Args:
        mean: mean over the seeds, None if no seed has the number.
        half_width: half width of the 95 % Student-t interval of the mean; None below two seeds.
        n: number of seeds behind ``mean``.
        failed: number of cells that failed.
        interval: where the true value lies with 95 % confidence: Student-t over the seeds or, with
            one seed, what the number of test images allows (Wilson, Newcombe); None if unknown.
    """

    mean: float | None = None
    half_width: float | None = None
    n: int = 0
    failed: int = 0
    interval: Interval | None = None

    def scaled(self, factor: float) -> Estimate:
        """Returns the number in another unit."""
        return Estimate(
            mean=None if self.mean is None else factor * self.mean,
            half_width=None if self.half_width is None else factor * self.half_width,
            n=self.n,
            failed=self.failed,
            interval=self.interval and (factor * self.interval[0], factor * self.interval[1]),
        )

    @property
    def known(self) -> bool:
        """Whether at least one seed has the number."""
        return self.mean is not None


def by_seed(cells: Iterable[Cell], measure: Measure) -> dict[int, float]:
    """Returns seed -> value of ``measure``; cells that share a seed are averaged."""
    values: dict[int, list[float]] = {}
    for cell in cells:
        value = getattr(cell, measure)
        if cell.status == "done" and value is not None:
            values.setdefault(cell.seed, []).append(value)
    return {seed: mean_of(rates) for seed, rates in sorted(values.items())}


def estimate(cells: Sequence[Cell], measure: Measure) -> Estimate:
    """Returns the mean of ``measure`` over the seeds of ``cells``, and how many cells failed."""
    failed = sum(cell.status == "failed" for cell in cells)
    number = _from_values(list(by_seed(cells, measure).values()), failed)
    if number.n == 1 and number.interval is None:
        return replace(number, interval=_wilson(cells, measure))
    return number


def gap_by_seed(
    cells: Sequence[Cell], control: Sequence[Cell], measure: Measure = "asr"
) -> dict[int, float]:
    """Returns seed -> how far ``cells`` lie above ``control``, for the seeds that both have."""
    ours, theirs = by_seed(cells, measure), by_seed(control, measure)
    return {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs}


def gap(cells: Sequence[Cell], control: Sequence[Cell], measure: Measure = "asr") -> Estimate:
    """Returns the mean over seeds of how far ``cells`` lie above ``control``.

    Seeds that only one side has are left out. With a single seed the interval is Newcombe's, from
    the two Wilson intervals.
    """
    ours, theirs = by_seed(cells, measure), by_seed(control, measure)
    gaps = gap_by_seed(cells, control, measure)
    failed = sum(cell.status == "failed" for cell in cells)
    number = _from_values(list(gaps.values()), failed)
    if number.mean is not None and number.half_width is not None:
        return replace(number, interval=around(number.mean, number.half_width))
    if number.n != 1:
        return number
    (seed,) = gaps
    our_ends = _wilson([cell for cell in cells if cell.seed == seed], measure)
    their_ends = _wilson([cell for cell in control if cell.seed == seed], measure)
    if our_ends is None or their_ends is None:
        return number
    return replace(number, interval=newcombe(ours[seed], our_ends, theirs[seed], their_ends))


def _from_values(values: list[float], failed: int) -> Estimate:
    if not values:
        return Estimate(failed=failed)
    mean = mean_of(values)
    half = student_half_width(values)
    interval = None if half is None else (mean - half, mean + half)
    return Estimate(mean=mean, half_width=half, n=len(values), failed=failed, interval=interval)


def _wilson(cells: Sequence[Cell], measure: Measure) -> Interval | None:
    """Returns the interval from the number of test images, if exactly one finished cell has one."""
    done = [cell for cell in cells if cell.status == "done"]
    if measure in ("asr_clean", "control_asr", "control_asr_clean"):
        intervals = [wilson_of_rate(getattr(cell, measure), cell.n_triggered) for cell in done]
    elif measure in ("clean_acc", "asr"):
        intervals = [getattr(cell, f"{measure}_interval") for cell in done]
    else:
        return None
    if len(intervals) != 1 or intervals[0] is None:
        return None
    low, high = intervals[0]
    return float(low), float(high)


def over_seeds(count: int) -> str:
    """Returns a clause that says what the numbers of a table over ``count`` seeds are."""
    if count < 2:
        return "one seed"
    return (
        f"mean ± half width of the 95 % Student-t interval over {count} seeds; without ±: one seed"
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def mean_known(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the known values; None if none is known."""
    known = _known(values)
    return mean_of(known) if known else None


def show_mean(
    values: Iterable[float | None], scale: float = 1.0, digits: int = 1, *, rate: bool = False
) -> str:
    """Returns the mean of the known values as text, with its half width if there are several.

    Args:
        values: None stands for a value that is not known.
        scale: the factor that turns them into the unit of the table.
        digits: digits behind the decimal point.
        rate: whether the values lie in [0, 1], so that a half width above 1 says nothing.
    """
    known = [scale * value for value in _known(values)]
    if not known:
        return MISSING
    text = f"{mean_of(known) + 0.0:.{digits}f}"
    half = student_half_width(known)
    return text if half is None else text + _half(half, digits, scale if rate else math.inf)


def _half(width: float, digits: int, most: float) -> str:
    """Returns `` ± 2.1``, or `` ± >100`` where the width is above ``most``."""
    return f" ± >{most:.0f}" if width > most else f" ± {width:.{digits}f}"


def plus_minus(half: float | None) -> str:
    """Returns half the width of an interval of a difference of rates in points: `` ± 2.1``.

    It is empty where there is no interval, and `` ± >100`` where the interval says nothing.
    """
    return "" if half is None else _half(100 * half, 1, 100)


def points(fraction: float) -> str:
    """Returns a difference of rates in signed points: ``+25.3``; never ``-0.0``."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def show(
    number: Estimate,
    *,
    seeds: int,
    scale: float = 100.0,
    digits: int = 1,
    signed: bool = False,
) -> str:
    """Returns an estimate as text, in percent unless ``scale`` is given.

    Args:
        number: the estimate.
        seeds: the number of seeds that the table names once. An estimate over fewer seeds names
            its own number; an estimate over a single seed has no half width.
        scale: the factor that turns the estimate into the unit of the table.
        digits: digits behind the decimal point.
        signed: whether a positive number has a sign.
    """
    if number.mean is None:
        return FAILED if number.failed else MISSING
    sign = "+" if signed else ""
    mean = round(number.mean * scale, digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    text = f"{mean:{sign}.{digits}f}"
    if number.half_width is not None:
        text += _half(number.half_width * scale, digits, scale if scale == 100 else math.inf)
    notes = []
    if 1 < number.n != seeds:
        notes.append(f"{number.n} seeds")
    if number.failed:
        notes.append(f"{number.failed} failed")
    return f"{text} ({', '.join(notes)})" if notes else text
