"""The view ``worst``: each purified model under the retuning that brings back most of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from remission.records import Json
from remission.report.groups.results import Results
from remission.report.groups.titles import comparison_title, titles
from remission.report.measures.purified import PurifiedCells, purified
from remission.report.measures.retunings import RetuningNames
from remission.report.measures.worst_gap import (
    BOUNDS,
    MIDDLE,
    Choice,
    WorstGap,
    WorstRow,
    tried,
    worst_rows,
)
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.purified import counts_of, gap_text, purified_text
from remission.report.tables.views import View, register_view

_ITSELF = "none"
"""The name in the place of a retuning's where none is within the bound."""
_MIDDLE = f"{100 * BOUNDS[MIDDLE]:g}"
_NOTE = (
    "worst gap, in points: the ASR after the worst retuning of the model minus the control's "
    "after the control's own worst, out of the same ensemble of retunings; the worst is the one "
    "with the highest ASR among those that cost at most 1, 3 or 5 points of clean accuracy, "
    "chosen on validation images and measured on test images. ± half width of the 95 % "
    "Student-t interval over the seeds; with one seed, in brackets, the 95 % interval from the "
    "number of test images. The word “none” means that no retuning costs so little, and that the "
    "ASR is that of the model before any. With several seeds the retuning is the most frequent, "
    "with its share. Purified: in how many of the cells the O-ASR is at most 10 points above the "
    "control's; a model that was not purified has a worst gap as well, which says nothing about "
    "relapse"
)
_ORDER = (
    "Rows are in the order of the attack, then of the share of purified cells, the largest first, "
    f"then of the worst gap at {_MIDDLE} points, the smallest first"
)


@dataclass(frozen=True, kw_only=True)
class WorstLine:
    """A purifier under one attack, with the names that depend on the whole table."""

    attack: str
    worst: WorstRow
    names: RetuningNames

    @cached_property
    def cells(self) -> PurifiedCells:
        """In how many cells it purified."""
        return purified(self.worst.group, self.worst.row)

    def order(self) -> tuple[str, float, float, str]:
        """Returns a key to sort by."""
        share, gap = self.cells.share, self.worst.at[MIDDLE].gap.mean
        return (
            self.attack,
            math.inf if share is None else -share,
            math.inf if gap is None else gap,
            self.worst.row.label,
        )

    def retuning(self, choices: Sequence[Choice]) -> str:
        """Returns the most frequent of the choices, with its share among several seeds."""
        names = Counter(
            self.names.name(choice.entry) if choice.entry else _ITSELF for choice in choices
        )
        name, count = names.most_common(1)[0]
        return name if len(names) == 1 else f"{name} [{count}/{len(choices)}]"


def _at(index: int) -> TableColumn[WorstLine, WorstLine]:
    return TableColumn(
        header=f"at {100 * BOUNDS[index]:g}",
        text=lambda line: gap_text(line.worst.at[index].gap),
        shade=lambda line: max(0.0, line.worst.at[index].gap.mean or 0.0),
    )


def _middle(line: WorstLine) -> WorstGap:
    return line.worst.at[MIDDLE]


COLUMNS: list[TableColumn[WorstLine, WorstLine]] = [
    TableColumn(key="purifier", value=lambda line: line.worst.row.purifier.name),
    TableColumn(key="purifier_params", value=lambda line: line.worst.row.purifier.parameters),
    TableColumn(
        header="purifier",
        text=lambda line: line.worst.row.label,
        key="label",
        value=lambda line: line.worst.row.label,
    ),
    TableColumn(header="attack", text=lambda line: line.attack),
    TableColumn(header="purified", text=lambda line: purified_text(line.cells)),
    *map(_at, range(len(BOUNDS))),
    TableColumn(
        header=f"ASR at {_MIDDLE}",
        text=lambda line: f"{100 * _middle(line).asr:.1f}",
    ),
    TableColumn(
        header=f"worst retuning at {_MIDDLE}",
        text=lambda line: line.retuning(list(_middle(line).ours.values())),
    ),
    TableColumn(
        header="control's ASR",
        text=lambda line: f"{100 * _middle(line).control_asr:.1f}",
    ),
    TableColumn(
        header="control's worst",
        text=lambda line: line.retuning(list(_middle(line).control.values())),
    ),
    TableColumn(
        key="worst",
        value=lambda line: [_worst(line, worst) for worst in line.worst.at],
    ),
    TableColumn(
        key="ensemble",
        value=lambda line: [
            {
                "seed": seed,
                "retunings": [
                    {"label": line.names.name(entry), **entry.to_json()} for entry in of.entries
                ],
                "control": [entry.to_json() for entry in line.worst.control[seed].entries],
            }
            for seed, of in line.worst.ours.items()
        ],
    ),
]


def _worst(line: WorstLine, worst: WorstGap) -> Json:
    return {
        **_gap(worst),
        "seeds": [
            {
                "seed": seed,
                **_choice(line, choice),
                **_choice(line, worst.control[seed], "control_"),
            }
            for seed, choice in worst.ours.items()
        ],
    }


def _gap(worst: WorstGap) -> Json:
    low, high = worst.gap.interval or (None, None)
    return {
        "bound": worst.bound,
        "worst_gap": worst.gap.mean,
        "worst_gap_half_width": worst.gap.half_width,
        "worst_gap_low": low,
        "worst_gap_high": high,
        "worst_gap_of_purified": worst.purified.mean,
    }


def _choice(line: WorstLine, choice: Choice, prefix: str = "") -> Json:
    """Returns a worst retuning for programs; None in each field of a retuning without one."""
    entry, measured = choice.entry, choice.measured
    values = {
        "retuning": line.names.name(entry) if entry else None,
        "retuning_params": entry.retuning if entry else None,
        "budget": entry.budget if entry else None,
        "asr": measured.asr,
        "clean_acc": measured.clean_acc,
        "validation_asr": entry.validation_asr if entry else measured.validation_asr,
        "validation_clean_acc": (
            entry.validation_clean_acc if entry else measured.validation_clean_acc
        ),
    }
    return {prefix + key: value for key, value in values.items()}


def worst_lines(results: Results) -> list[list[WorstLine]]:
    """Returns the rows in order, one list per data set, model and setting."""
    ensembles = tried(results)
    lists = []
    for groups in results.overviews:
        attacks = titles(groups)
        rows = [row for group in groups for row in worst_rows(group, ensembles)]
        names = RetuningNames.of(entry for row in rows for entry in row.entries)
        lines = [WorstLine(attack=attacks[row.group.key], worst=row, names=names) for row in rows]
        lists.append(sorted(lines, key=WorstLine.order))
    return lists


def worst_tables(results: Results) -> list[Table]:
    """Builds one table per data set, model and setting that has an ensemble."""
    pairs = zip(worst_lines(results), results.overview_settings, strict=True)
    return [worst_table(lines, setting) for lines, setting in pairs if lines]


def worst_table(lines: Sequence[WorstLine], setting: str) -> Table:
    """Builds the table of these rows, at least one.

    Args:
        lines: the rows of one data set, model and setting.
        setting: their difference to others of the same data set and model; may be empty.
    """
    key, first = lines[0].worst.group.key, lines[0]
    title = comparison_title(key.dataset, key.arch, "worst retuning", setting)
    counts = sorted({len(line.worst.entries) for line in lines})
    several = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    usual = f"Of {several} retunings, which have {first.names.common} unless their names say else"
    return table_of(COLUMNS, lines, title=title, notes=[_NOTE, usual, _ORDER])


def _objects(results: Results) -> list[Json]:
    """Builds one object per purifier and attack, with every retuning of every seed."""
    return [
        {**line.worst.group.subject(), **entry, **counts_of(line.cells)}
        for lines in worst_lines(results)
        for line, entry in zip(lines, objects_of(COLUMNS, lines), strict=True)
    ]


_NESTED = ("worst", "ensemble")
"""Keys of objects whose content has lines of its own in CSV."""


def _flat(results: Results) -> list[Json]:
    """Builds one line per purifier, attack, bound and seed."""
    return [
        {
            **line.worst.group.subject(),
            **{key: value for key, value in entry.items() if key not in _NESTED},
            **_gap(worst),
            "seed": seed,
            **_choice(line, choice),
            **_choice(line, worst.control[seed], "control_"),
        }
        for lines in worst_lines(results)
        for line, entry in zip(lines, objects_of(COLUMNS, lines), strict=True)
        for worst in line.worst.at
        for seed, choice in worst.ours.items()
    ]


register_view(
    View(
        name="worst",
        summary="each purifier under the worst of many retunings, the control under its own worst",
        empty="the spec has no [[ensemble]], or no ensemble of a purified model is computed yet",
        tables=worst_tables,
        objects=_objects,
        flat=_flat,
        columns=COLUMNS,
    )
)
