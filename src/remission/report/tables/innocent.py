"""The view ``innocent``: purifiers on a model that was never backdoored."""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Json, Record
from remission.report.groups.estimates import MISSING, over_seeds, show
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.measures.findings import Finding, named, reached, standing_out
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_NOTE = "every class that an inversion names here is a false alarm"
_CHANGED = (
    "; model changed: whether the purifier changed any weight; where it changed none, it was not "
    "applied, which is right here, since there is no backdoor to remove"
)
_HEADER = ("purifier", "C-Acc", "C-Acc change")
_MORE = ("class named", "images reached", "lead", "seconds")


def findings(records: Sequence[Record]) -> dict[str, Finding]:
    """Returns id of a purified model -> the answer of the purifier's inversion."""
    return {
        record.id: Finding.of(details)
        for record in records
        if isinstance(details := record.details.get("inversion"), dict)
    }


def innocent_tables(results: Results) -> list[Table]:
    """Builds one table per data set and architecture, numbers in percent."""
    by_id = findings(results)
    return [_table(group, by_id) for group in results.innocents]


def _table(group: Group, by_id: dict[str, Finding]) -> Table:
    known = any(cell.applied is not None for row in group.rows for cell in row.at(None))
    note = f"rates in percent; {over_seeds(group.seeds)}; {_NOTE}"
    return Table(
        title=_title(group),
        notes=[note + _CHANGED if known else note],
        header=[*_HEADER, *(["model changed"] if known else []), *_MORE],
        rows=[
            [
                *_accuracy(group, row),
                *([_changed(row)] if known else []),
                *_inversions(row, by_id),
                MISSING if row.purifier.name == CONTROL else _seconds(group, row),
            ]
            for row in group.rows
        ],
    )


def _title(group: Group) -> str:
    parts = [group.key.dataset, group.key.arch, "never backdoored", group.setting]
    return printable(" · ".join(filter(None, parts)))


def _accuracy(group: Group, row: Row) -> list[str]:
    return [
        row.label,
        show(row.number("clean_acc"), seeds=group.seeds),
        MISSING if row.purifier.name == CONTROL else _change(group, row),
    ]


def _changed(row: Row) -> str:
    """Returns whether the purifier changed the model, and with how many seeds if not with all."""
    applied = [cell.applied for cell in row.at(None) if cell.applied is not None]
    if not applied:
        return MISSING
    if len(set(applied)) == 1:
        return "yes" if applied[0] else "no"
    return f"with {sum(applied)} of {len(applied)} seeds"


def _inversions(row: Row, by_id: dict[str, Finding]) -> list[str]:
    inversions = [by_id[cell.id] for cell in row.at(None) if cell.id in by_id]
    return [named(inversions) or MISSING, reached(inversions), standing_out(inversions)]


def _change(group: Group, row: Row) -> str:
    return show(group.gap(row, None, "clean_acc"), seeds=group.seeds, signed=True)


def _seconds(group: Group, row: Row) -> str:
    return show(row.number("seconds"), seeds=group.seeds, scale=1)


def _objects(results: Results) -> list[Json]:
    """Builds one object per model that a purifier was tried on, rates as fractions."""
    by_id = findings(results)
    objects: list[Json] = []
    for group in results.innocents:
        for row in group.rows:
            for cell in row.cells.get(None, ()):
                finding = by_id.get(cell.id)
                objects.append(
                    {
                        **cell.subject("dataset", "arch", "seed", "purifier", "purifier_params"),
                        "label": row.label,
                        "clean_acc": cell.clean_acc,
                        "applied": cell.applied,
                        "control_clean_acc": _control(group, cell.seed),
                        "inversion_target": finding.target if finding else None,
                        "inversion_target_name": finding.target_name if finding else None,
                        "inversion_share": finding.share if finding else None,
                        "inversion_lead": finding.lead if finding else None,
                        "seconds": cell.seconds,
                        "status": cell.status,
                        "error": cell.error,
                        "id": cell.id,
                    }
                )
    return objects


def _control(group: Group, seed: int) -> float | None:
    row = group.row(CONTROL)
    cells = row.cells.get(None, ()) if row else ()
    return next((cell.clean_acc for cell in cells if cell.seed == seed), None)


register_view(
    View(
        name="innocent",
        summary="purifiers on a model without a backdoor",
        empty="the spec has no `innocent = [SEED]`",
        tables=innocent_tables,
        objects=_objects,
    )
)
