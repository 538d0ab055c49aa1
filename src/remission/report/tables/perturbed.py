"""Tables of reactivations that perturb images, for the page."""

from __future__ import annotations

from remission.report.groups.estimates import MISSING, Measure, show
from remission.report.groups.group import Group
from remission.report.groups.keys import VICTIM
from remission.report.groups.labels import printable
from remission.report.groups.rows import Column
from remission.report.tables.formats import Table

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


_NOTE = (
    "ASR of perturbed triggered and of perturbed clean images of other classes on each model, and "
    "of the very same images on the control: where it is high there, too, the perturbation is an "
    "adversarial example and no reactivation. Queries: images that the attack asked the model "
    "about."
)
_IN_PLACE = " Here the perturbation replaces the trigger: both ASRs are of clean images."


def perturbed_tables(group: Group) -> list[Table]:
    """Builds a table for every reactivation of a group that perturbs images, in percent."""
    columns = [column for column in group.columns if group.perturbed(column)]
    return [_table(group, column, first=number == 0) for number, column in enumerate(columns)]


def _table(group: Group, column: Column, *, first: bool) -> Table:
    rows = [row for row in group.rows if row.purifier.name != VICTIM and row.cells.get(column)]
    note = (_NOTE if first else "Columns as above.") + (_IN_PLACE if group.in_place(column) else "")
    over = "one seed" if group.seeds < 2 else f"mean over {group.seeds} seeds; without ±: one seed"
    texts = []
    for row in rows:
        numbers = [show(row.number(measure, column), seeds=group.seeds) for measure in _MEASURES]
        queries = row.number("queries", column)
        texts.append(
            [
                row.label,
                show(row.number("asr"), seeds=group.seeds),
                *numbers,
                f"{queries.mean:,.0f}" if queries.mean is not None else MISSING,
            ]
        )
    return Table(
        title=printable(f"Perturbed images: {column.title}"),
        notes=[f"Rates are in percent; {over}. {note}"],
        header=_HEADER,
        rows=texts,
        kinds=["control" if row.reference else "purifier" for row in rows],
    )
