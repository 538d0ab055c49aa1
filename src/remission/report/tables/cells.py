"""Cells and paths one by one, as lines of a table."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from remission.records import Cell, PathCurve, Quantity, Record, cells, path_curves
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.keys import GroupKey, place, purifier_of, reactivation_of
from remission.report.groups.labels import Method, label_methods
from remission.report.groups.targets import class_text
from remission.report.tables.formats import Lines


def cell_lines(records: list[Record]) -> tuple[list[str], Lines]:
    """Header and rows of the measured models."""
    header = ["dataset", "arch", "attack", "poison rate", "target", "seed", "purifier"]
    header += ["reactivation", "budget", "C-Acc", "ASR", "RobustAcc", "seconds", "id"]
    found, lines = ordered_cells(records), []
    attacks = label_methods(_attack(cell) for cell in found)
    purifiers = label_methods(map(purifier_of, found))
    reactivations = label_methods(map(reactivation_of, found))
    for cell in found:
        failed = cell.status == "failed"
        rates = (cell.clean_acc, cell.asr, cell.robust_acc)
        shown = [FAILED if failed else MISSING if r is None else f"{100 * r:.1f}" for r in rates]
        lines.append(
            [
                cell.dataset,
                cell.arch,
                attacks[_attack(cell)],
                f"{100 * cell.poison_rate:g} %",
                class_text(cell.target, cell.target_name),
                str(cell.seed),
                purifiers[purifier_of(cell)],
                reactivations[reactivation_of(cell)],
                MISSING if cell.budget is None else str(cell.budget),
                *shown,
                f"{cell.seconds:.1f}",
                cell.id[:12],
            ]
        )
    return header, lines


def ordered_cells(records: list[Record]) -> list[Cell]:
    """The measured models in the order of the summary."""
    return sorted(cells(records), key=place)


def ordered_paths(records: list[Record]) -> list[PathCurve]:
    """The paths in the order of the summary."""
    return sorted(path_curves(records), key=place)


def path_objects(records: list[Record]) -> list[dict[str, Any]]:
    """One object a path, with what is derived from its lists."""
    return [
        dataclasses.asdict(path)
        | {
            "mean_backdoor_error": path.mean_backdoor_error,
            "t_back": path.t_back,
            "barriers": {of: path.barrier(of) for of in get_args(Quantity)},
        }
        for path in ordered_paths(records)
    ]


def _attack(cell: Cell) -> Method:
    return GroupKey.of(cell).attack


def path_points(records: list[Record]) -> list[dict[str, Any]]:
    """One object a point of a path."""
    points = []
    for path in ordered_paths(records):
        curve = dataclasses.asdict(path)
        every = ("t", "asr", "clean_acc", "clean_loss", "backdoor_loss")
        nothing = [None] * len(path.t)
        lists = {key: curve.pop(key) or nothing for key in every}
        rows = zip(*lists.values(), strict=True)
        points += [curve | dict(zip(lists, values, strict=True)) for values in rows]
    return points
