"""The walks in weight space as tables: barriers and distances, and every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remission.records import PathCurve, Quantity, Record
from remission.report.groups.estimates import MISSING, show_mean
from remission.report.groups.group import Group
from remission.report.groups.labels import printable
from remission.report.groups.results import summarise
from remission.report.tables.formats import Lines, Section

_STEPS: tuple[tuple[Quantity, str, float], ...] = (
    ("backdoor_error", "backdoor error", 100),
    ("clean_error", "clean error", 100),
    ("backdoor_loss", "backdoor loss", 1),
    ("clean_loss", "clean loss", 1),
)


@dataclass(frozen=True, kw_only=True)
class Barriers:
    """Heights of barriers and distances of one group, for people."""

    header: list[str]
    lines: Lines
    note: str


def barriers(group: Group) -> Barriers | None:
    """A line a purifier and walk, with recalibrated statistics where they were measured."""
    rows = _walks(group)
    if not rows:
        return None
    best = "recalibrated" if any(row[2] == "recalibrated" for row in rows) else "interpolated"
    lines = [
        [label, _NAMES[walk], *_numbers(curves)]
        for label, walk, policy, curves in rows
        if policy == best
    ]
    header = ["purifier", "walk", "mean backdoor error", "t_back"]
    header += [f"barrier: {title}" for _, title, _ in _STEPS]
    return Barriers(
        header=[*header, "distance (L2)", "relative"],
        lines=lines,
        note=(
            f"batch norm {best}; errors in percent, losses in nats, means over seeds ± half width "
            "of the 95 % Student-t interval. t_back: the way from the purified end, in t, until "
            "the ASR is above 50 %: 0 where it is there already, – where it never is, (1 of 3) "
            "where it is with one seed of three, whose mean it is. "
            "Barrier: the largest excess over the straight line between the values at the two "
            "ends. Relative: distance over the norm of the model at t = 0, in percent"
        ),
    )


_NAMES = {
    "line": "line, victim to purified",
    "bezier": "curve, victim to purified",
    "retuned": "line, purified to retuned",
}


_ORDER = list(_NAMES)


def _numbers(curves: Sequence[PathCurve]) -> list[str]:
    ways = [curve.t_back for curve in curves]
    back, known = show_mean(ways, 1, 2), sum(way is not None for way in ways)
    return [
        show_mean([curve.mean_backdoor_error for curve in curves], 100, 1, rate=True),
        back if known in (0, len(ways)) else f"{back} ({known} of {len(ways)})",
        *(
            show_mean([curve.barrier(of) for curve in curves], scale, 1 if scale > 1 else 2)
            for of, _, scale in _STEPS
        ),
        show_mean([curve.distance for curve in curves], 1, 2),
        show_mean([curve.relative_distance for curve in curves], 100, 1),
    ]


def path_sections(records: Sequence[Record]) -> list[Section]:
    """For people: a group's barriers and distances, then its points, one line each."""
    found = []
    for group in summarise(records):
        if (table := barriers(group)) is None:
            continue
        title = f"{group.title} · barriers and distances"
        found.append(
            Section(
                title=printable(title), notes=[table.note], header=table.header, lines=table.lines
            )
        )
        found.append(
            Section(
                title=printable(f"{group.title} · points"),
                notes=[
                    "rates in percent, losses in nats, of each seed; t: 0 at the first and 1 at "
                    "the second of the two models of the walk; batch norm interpolated: running "
                    "statistics lie between those of the two, recalibrated: they are collected "
                    "anew on the defender's images at every point, the ends included"
                ],
                header=[
                    *("purifier", "seed", "walk", "batch norm", "t", "ASR", "C-Acc"),
                    *("backdoor loss", "clean loss"),
                ],
                lines=_points(group),
            )
        )
    return found


def _points(group: Group) -> Lines:
    lines = []
    for label, walk, policy, curves in _walks(group):
        for curve in curves:
            nothing = [None] * len(curve.t)
            losses = (curve.backdoor_loss or nothing, curve.clean_loss or nothing)
            for t, asr, clean, *lost in zip(
                curve.t, curve.asr, curve.clean_acc, *losses, strict=True
            ):
                line = [label, str(curve.seed), _NAMES[walk], policy, f"{t:.3g}"]
                line += [f"{100 * rate:.1f}" for rate in (asr, clean)]
                lines.append(line + [MISSING if x is None else f"{x:.3f}" for x in lost])
    return lines


def _walks(group: Group) -> list[tuple[str, str, str, Sequence[PathCurve]]]:
    """(purifier, walk, batch norm, one curve a seed), in the order of the purifiers' labels."""
    rows = [(label, "line", policy, curves) for (label, policy), curves in group.paths.items()]
    rows += [(label, walk, policy, found) for (label, walk, policy), found in group.walks.items()]
    return sorted(rows, key=lambda r: (r[0], _ORDER.index(r[1])))
