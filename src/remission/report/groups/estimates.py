"""Means over seeds with their intervals. Rates are fractions in [0, 1] until they are printed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from remission.intervals import Interval, mean_of, newcombe, student_half_width, wilson_of_rate
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
]

MISSING = "–"
FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number of a table.

    Args:
        mean: mean over the seeds, None if no seed has the number.
        half_width: half width of the 95 % Student-t interval of the mean; None below two seeds.
        n: seeds behind ``mean``.
        failed: cells that failed.
        interval: where the true value lies with 95 % confidence: Student-t over the seeds or, with
            one seed, what the number of test images allows (Wilson, Newcombe); None if unknown.
    """

    mean: float | None = None
    half_width: float | None = None
    n: int = 0
    failed: int = 0
    interval: Interval | None = None

    def scaled(self, factor: float) -> Estimate:
        """The number in another unit."""
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
    """Seed -> value of ``measure``; cells that share a seed are averaged, not counted twice."""
    values: dict[int, list[float]] = {}
    for cell in cells:
        value = getattr(cell, measure)
        if cell.status == "done" and value is not None:
            values.setdefault(cell.seed, []).append(value)
    return {seed: mean_of(found) for seed, found in sorted(values.items())}


def estimate(cells: Sequence[Cell], measure: Measure) -> Estimate:
    """The mean of ``measure`` over the seeds of ``cells``, failed ones counted apart."""
    failed = sum(cell.status == "failed" for cell in cells)
    made = _from_values(list(by_seed(cells, measure).values()), failed)
    if made.n == 1 and made.interval is None:
        made = Estimate(mean=made.mean, n=1, failed=failed, interval=_wilson(cells, measure))
    return made


def gap_by_seed(
    cells: Sequence[Cell], control: Sequence[Cell], measure: Measure = "asr"
) -> dict[int, float]:
    """Seed -> how far ``cells`` lie above ``control``, for the seeds that both have."""
    ours, theirs = by_seed(cells, measure), by_seed(control, measure)
    return {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs}


def gap(cells: Sequence[Cell], control: Sequence[Cell], measure: Measure = "asr") -> Estimate:
    """How far ``cells`` lie above ``control``: mean of the differences seed by seed.

    Seeds that only one side has are left out. With a single seed the interval is Newcombe's, from
    the two Wilson intervals.
    """
    ours, theirs = by_seed(cells, measure), by_seed(control, measure)
    apart = gap_by_seed(cells, control, measure)
    failed = sum(cell.status == "failed" for cell in cells)
    made = _from_values(list(apart.values()), failed)
    if made.n != 1 or made.mean is None:
        return made
    (seed,) = apart
    here = _wilson([cell for cell in cells if cell.seed == seed], measure)
    there = _wilson([cell for cell in control if cell.seed == seed], measure)
    interval = newcombe(ours[seed], here, theirs[seed], there) if here and there else None
    return Estimate(mean=made.mean, n=1, failed=failed, interval=interval)


def _from_values(values: list[float], failed: int) -> Estimate:
    if not values:
        return Estimate(failed=failed)
    mean = mean_of(values)
    half = student_half_width(values)
    interval = None if half is None else (mean - half, mean + half)
    return Estimate(mean=mean, half_width=half, n=len(values), failed=failed, interval=interval)


def _wilson(cells: Sequence[Cell], measure: Measure) -> Interval | None:
    """The interval that the measuring stage recorded, if exactly one finished cell has it."""
    done = [cell for cell in cells if cell.status == "done"]
    if measure in ("asr_clean", "control_asr", "control_asr_clean"):
        found = [wilson_of_rate(getattr(cell, measure), cell.n_triggered) for cell in done]
    elif measure in ("clean_acc", "asr"):
        found = [getattr(cell, f"{measure}_interval") for cell in done]
    else:
        return None
    if len(found) != 1 or found[0] is None:
        return None
    return (float(found[0][0]), float(found[0][1]))


def over_seeds(count: int) -> str:
    """What the numbers of a table with that many seeds are."""
    if count < 2:
        return "one seed"
    return (
        f"mean ± half width of the 95 % Student-t interval over {count} seeds; without ±: one seed"
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def mean_known(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None if none is."""
    known = _known(values)
    return mean_of(known) if known else None


def show_mean(
    values: Iterable[float | None], scale: float = 1.0, digits: int = 1, *, rate: bool = False
) -> str:
    """The mean of those that are known, with its half width if there are several, for people.

    Args:
        values: those that are not known are None.
        scale: what they are multiplied with.
        digits: behind the point.
        rate: they lie in [0, 1], so that a half width above 1 says nothing.
    """
    known = [scale * value for value in _known(values)]
    if not known:
        return MISSING
    text = f"{mean_of(known) + 0.0:.{digits}f}"
    half = student_half_width(known)
    return text if half is None else text + _half(half, digits, scale if rate else math.inf)


def _half(width: float, digits: int, most: float) -> str:
    """`` ± 2.1``; of rates, whose interval two seeds may put far outside them, ``most`` at most."""
    return f" ± >{most:.0f}" if width > most else f" ± {width:.{digits}f}"


def points(fraction: float) -> str:
    """A difference of rates in signed points: ``+25.3``; nothing is ``+0.0``, never ``-0.0``."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def show(
    number: Estimate,
    *,
    seeds: int,
    scale: float = 100.0,
    digits: int = 1,
    signed: bool = False,
) -> str:
    """An estimate for people, in percent unless ``scale`` says otherwise.

    ``seeds`` is the count that the table states once; a number resting on fewer says its own, one
    by having no half width, and failed cells are always said.
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
