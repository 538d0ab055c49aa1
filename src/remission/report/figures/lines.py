"""Lines with their intervals in percent, taken from a group for the figures to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remission.intervals import student_half_width
from remission.records import PathCurve, Quantity
from remission.report.groups.estimates import Estimate
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.rows import Column, Row

BATCHNORM = ("interpolated", "recalibrated")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line. All lists have the same length; rates are in percent, NaN where a cell failed."""

    label: str
    x: list[float]
    y: list[float]
    low: list[float]
    """Lower end of the 95 % interval; equal to ``y`` where it is unknown."""
    high: list[float]
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Paths of one kind with one batch-norm policy: rates against t."""

    title: str
    error: list[Series]
    """Backdoor error, 1 - ASR."""
    clean_acc: list[Series]


def reactivations(group: Group) -> dict[str, list[Column]]:
    """Returns the columns of each reactivation in order of budget, by its label."""
    columns: dict[str, list[Column]] = {}
    for column in group.columns:
        columns.setdefault(column.label, []).append(column)
    return columns


def relapse(group: Group, columns: Sequence[Column]) -> list[Series]:
    """Returns ASR against the number n of poisoned images; n = 0 is the model before reactivation.

    Rows without a point at n > 0 are left out. So is the victim, which is drawn as a reference
    line. Budgets without a cell of the row are left out, too.
    """
    series = []
    for row in group.rows:
        points = [(0.0, row.number("asr"))]
        points += [(float(c.budget), row.number("asr", c)) for c in columns if c.budget]
        points = [(x, number) for x, number in points if number.known or number.failed]
        if row.purifier.name != VICTIM and any(x > 0 and number.known for x, number in points):
            series.append(_series(row, points))
    return series


def before_after(group: Group, column: Column) -> list[tuple[Series, Series]]:
    """Returns (O-ASR, P-ASR) of every row for a reactivation that used no poisoned images."""
    return [
        (
            _series(row, [(0.0, row.number("asr"))]),
            _series(row, [(1.0, row.number("asr", column))]),
        )
        for row in group.rows
        if row.number("asr", column).known and row.number("asr").known
    ]


def victim_asr(group: Group) -> float | None:
    """Returns the victim's ASR in percent; None where it was not measured."""
    row = group.row(VICTIM)
    mean = row.number("asr").mean if row else None
    return None if mean is None else 100 * mean


def panels(group: Group) -> list[Panel]:
    """Returns the straight lines from victim to purified, interpolated first, then the curves."""
    result = []
    for policy in BATCHNORM:
        lines = {label: curves for (label, name), curves in group.paths.items() if name == policy}
        if lines:
            result.append(_panel(f"batch norm {policy}", lines))
    if bent := _others(group, "bezier", "recalibrated"):
        result.append(_panel("Bezier curve, recalibrated", bent))
    return result


def onward(group: Group) -> list[Panel]:
    """Returns the straight lines from the purified to the retuned model."""
    other_paths = [(policy, _others(group, "retuned", policy)) for policy in BATCHNORM]
    return [_panel(f"batch norm {policy}", lines) for policy, lines in other_paths if lines]


def losses(group: Group) -> Panel | None:
    """Returns losses along the straight line, in nats and not in percent.

    ``error`` holds the backdoor loss and ``clean_acc`` the clean one. Older records have neither.
    """
    for policy in reversed(BATCHNORM):
        lines = {
            label: [curve for curve in curves if curve.clean_loss is not None]
            for (label, name), curves in group.paths.items()
            if name == policy
        }
        with_losses = {label: curves for label, curves in lines.items() if curves}
        if with_losses:
            return Panel(
                title=f"batch norm {policy}",
                error=[
                    _loss(label, curves, "backdoor_loss") for label, curves in with_losses.items()
                ],
                clean_acc=[
                    _loss(label, curves, "clean_loss") for label, curves in with_losses.items()
                ],
            )
    return None


def _panel(title: str, lines: Mapping[str, Sequence[PathCurve]]) -> Panel:
    return Panel(
        title=title,
        error=[_mean_rate(k, v, backdoor_error=True) for k, v in lines.items()],
        clean_acc=[_mean_rate(k, v, backdoor_error=False) for k, v in lines.items()],
    )


def _others(group: Group, walk: str, policy: str) -> dict[str, Sequence[PathCurve]]:
    return {
        label: curves
        for (label, name, batchnorm), curves in group.other_paths.items()
        if (name, batchnorm) == (walk, policy)
    }


def _loss(label: str, curves: Sequence[PathCurve], of: Quantity) -> Series:
    t = curves[0].t
    lists = [curve.values(of) or [] for curve in curves if curve.t == t]
    y = [math.fsum(values) / len(values) for values in zip(*lists, strict=True)]
    return Series(label=label, x=t, y=y, low=y, high=y)


def _series(row: Row, points: Sequence[tuple[float, Estimate]]) -> Series:
    # A failed point breaks the line: drawn through, it would pass for a measurement.
    y = [math.nan if number.mean is None else 100 * number.mean for _, number in points]
    ends = [
        (100 * max(0.0, number.interval[0]), 100 * min(1.0, number.interval[1]))
        if number.interval
        else (rate, rate)
        for (_, number), rate in zip(points, y, strict=True)
    ]
    return Series(
        label=row.label,
        x=[x for x, _ in points],
        y=y,
        low=[low for low, _ in ends],
        high=[high for _, high in ends],
        control=row.purifier.name == CONTROL,
    )


def _mean_rate(label: str, curves: Sequence[PathCurve], *, backdoor_error: bool) -> Series:
    """Returns the mean rate over the seeds that have the same values of t as the first seed."""
    t = curves[0].t
    curves = [curve for curve in curves if curve.t == t]
    y, low, high = [], [], []
    for i in range(len(t)):
        rates = [1 - c.asr[i] if backdoor_error else c.clean_acc[i] for c in curves]
        mean = sum(rates) / len(rates)
        half = student_half_width(rates) or 0.0
        y.append(100 * mean)
        low.append(100 * max(0.0, mean - half))
        high.append(100 * min(1.0, mean + half))
    control = curves[0].purifier == CONTROL
    return Series(label=label, x=t, y=y, low=low, high=high, control=control)
