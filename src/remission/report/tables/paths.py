"""The view ``paths``: paths in weight space, their barriers and distances, and every point."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import get_args

from remission.records import Json, PathCurve, Quantity, path_curves
from remission.report.groups.estimates import MISSING, show_mean
from remission.report.groups.group import Group
from remission.report.groups.keys import row_order
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.tables.formats import Rows, Table
from remission.report.tables.views import View, register_view

_STEPS: tuple[tuple[Quantity, str, float], ...] = (
    ("backdoor_error", "backdoor error", 100),
    ("clean_error", "clean error", 100),
    ("backdoor_loss", "backdoor loss", 1),
    ("clean_loss", "clean loss", 1),
)
_NOTE = (
    "batch norm {batchnorm}; errors in percent, losses in nats, means over seeds ± half width "
    "of the 95 % Student-t interval. t_back: the distance in t from the purified end at which the "
    "ASR first exceeds 50 %: 0 if it does so at that end, – if it never does; (1 of 3): it does "
    "with one seed of three, and the mean is over such seeds. "
    "Barrier: the largest excess over the straight line between the values at the two "
    "ends. Relative: distance over the norm of the model at t = 0, in percent"
)
_NAMES = {
    "line": "line, victim to purified",
    "bezier": "curve, victim to purified",
    "retuned": "line, purified to retuned",
}
_ORDER = list(_NAMES)


def _numbers(curves: Sequence[PathCurve]) -> list[str]:
    ways = [curve.t_back for curve in curves]
    text, count = show_mean(ways, 1, 2), sum(way is not None for way in ways)
    return [
        show_mean([curve.mean_backdoor_error for curve in curves], 100, 1, rate=True),
        text if count in (0, len(ways)) else f"{text} ({count} of {len(ways)})",
        *(
            show_mean([curve.barrier(of) for curve in curves], scale, 1 if scale > 1 else 2)
            for of, _, scale in _STEPS
        ),
        show_mean([curve.distance for curve in curves], 1, 2),
        show_mean([curve.relative_distance for curve in curves], 100, 1),
    ]


def barrier_table(group: Group) -> Table | None:
    """Builds a row per purifier and path, with recalibrated statistics where there are any.

    Returns None where no path was measured.
    """
    paths = _all_paths(group)
    if not paths:
        return None
    best = "recalibrated" if any(walk[2] == "recalibrated" for walk in paths) else "interpolated"
    return Table(
        title=printable(f"{group.title} · barriers and distances"),
        notes=[_NOTE.format(batchnorm=best)],
        header=[
            *("purifier", "path", "mean backdoor error", "t_back"),
            *(f"barrier: {title}" for _, title, _ in _STEPS),
            *("distance (L2)", "relative"),
        ],
        rows=[
            [label, _NAMES[walk], *_numbers(curves)]
            for label, walk, policy, curves in paths
            if policy == best
        ],
    )


def _point_table(group: Group) -> Table:
    return Table(
        title=printable(f"{group.title} · points"),
        notes=[
            "rates in percent, losses in nats, of each seed; t: 0 at the first and 1 at "
            "the second of the two models of the path; batch norm interpolated: running "
            "statistics are interpolated between those of the two models; recalibrated: they "
            "are collected anew on the defender's images at every point, the ends included"
        ],
        header=[
            *("purifier", "seed", "path", "batch norm", "t", "ASR", "C-Acc"),
            *("backdoor loss", "clean loss"),
        ],
        rows=_points(group),
    )


def _points(group: Group) -> Rows:
    rows = []
    for label, walk, policy, curves in _all_paths(group):
        for curve in curves:
            blank = [None] * len(curve.t)
            lists = (curve.backdoor_loss or blank, curve.clean_loss or blank)
            for t, asr, clean, *losses in zip(
                curve.t, curve.asr, curve.clean_acc, *lists, strict=True
            ):
                row = [label, str(curve.seed), _NAMES[walk], policy, f"{t:.3g}"]
                row += [f"{100 * rate:.1f}" for rate in (asr, clean)]
                rows.append(row + [MISSING if x is None else f"{x:.3f}" for x in losses])
    return rows


def _all_paths(group: Group) -> list[tuple[str, str, str, Sequence[PathCurve]]]:
    """Returns (purifier, ``PathCurve.walk``, batch norm, one curve per seed), sorted by label."""
    rows = [(label, "line", policy, curves) for (label, policy), curves in group.paths.items()]
    rows += [
        (label, walk, policy, curves) for (label, walk, policy), curves in group.other_paths.items()
    ]
    return sorted(rows, key=lambda r: (r[0], _ORDER.index(r[1])))


def _tables(results: Results) -> list[Table]:
    """Builds for each group a table of barriers and distances, then one of points."""
    tables = []
    for group in results.groups:
        if barriers := barrier_table(group):
            tables += [barriers, _point_table(group)]
    return tables


def _ordered(results: Results) -> list[PathCurve]:
    """Returns the paths in the order of the summary."""
    return sorted(path_curves(results), key=row_order)


def _objects(results: Results) -> list[Json]:
    """Builds one object per path, with numbers derived from its lists."""
    return [
        dataclasses.asdict(path)
        | {
            "mean_backdoor_error": path.mean_backdoor_error,
            "t_back": path.t_back,
            "barriers": {of: path.barrier(of) for of in get_args(Quantity)},
            "setting": results.settings[path.id],
        }
        for path in _ordered(results)
    ]


def _flat(results: Results) -> list[Json]:
    """Builds one object per point of a path."""
    points = []
    for path in _ordered(results):
        curve = dataclasses.asdict(path) | {"setting": results.settings[path.id]}
        blank = [None] * len(path.t)
        names = ("t", "asr", "clean_acc", "clean_loss", "backdoor_loss")
        lists = {name: curve.pop(name) or blank for name in names}
        rows = zip(*lists.values(), strict=True)
        points += [curve | dict(zip(lists, values, strict=True)) for values in rows]
    return points


register_view(
    View(
        name="paths",
        summary="ASR, accuracy and losses along the path, and its barriers",
        empty="the spec has no [path], or no path is measured yet",
        tables=_tables,
        objects=_objects,
        flat=_flat,
    )
)
