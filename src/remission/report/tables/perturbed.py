"""Reactivations that perturb images: a table each, and how perturbations carry over to others."""

from __future__ import annotations

from dataclasses import dataclass

from remission.report.groups.estimates import MISSING, Measure, show
from remission.report.groups.group import Group
from remission.report.groups.keys import VICTIM
from remission.report.groups.labels import printable
from remission.report.groups.rows import Column
from remission.report.tables.formats import Section

_HEADER = [
    *("purifier", "O-ASR", "ASR triggered", "ASR clean", "control triggered", "control clean"),
    *("C-Acc perturbed", "queries"),
]

_MEASURES: tuple[Measure, ...] = (
    "asr",
    "asr_clean",
    "control_asr",
    "control_asr_clean",
    "clean_acc",
)


_TOLD = (
    "ASR of perturbed triggered and of perturbed clean images of other classes on each model, and "
    "of the very same images on the control: what is high there too is an adversarial example and "
    "no reactivation. Queries: images that the attack asked the model about."
)
_IN_PLACE = " Here the perturbation takes the trigger's place: both ASR are of clean images."


@dataclass(frozen=True, kw_only=True)
class Part(Section):
    """With what each line is of."""

    kinds: list[str]


def perturbed_parts(group: Group) -> list[Part]:
    """A table for every reactivation of the group that perturbs images, numbers in percent."""
    columns = [column for column in group.columns if group.perturbed(column)]
    return [_part(group, column, told=number == 0) for number, column in enumerate(columns)]


def _part(group: Group, column: Column, *, told: bool) -> Part:
    rows = [row for row in group.rows if row.purifier.name != VICTIM and row.cells.get(column)]
    told_here = (_TOLD if told else "Columns as above.") + (
        _IN_PLACE if group.in_place(column) else ""
    )
    over = "one seed" if group.seeds < 2 else f"mean over {group.seeds} seeds; without ±: one seed"
    lines = []
    for row in rows:
        numbers = [show(row.number(measure, column), seeds=group.seeds) for measure in _MEASURES]
        queries = row.number("queries", column)
        lines.append(
            [
                row.label,
                show(row.number("asr"), seeds=group.seeds),
                *numbers,
                f"{queries.mean:,.0f}" if queries.mean is not None else MISSING,
            ]
        )
    return Part(
        title=printable(f"Perturbed images: {column.title}"),
        notes=[f"Percent; {over}. {told_here}"],
        header=_HEADER,
        lines=lines,
        kinds=["control" if row.reference else "purifier" for row in rows],
    )
