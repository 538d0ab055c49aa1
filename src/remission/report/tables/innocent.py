"""What purifiers do to a model that was never backdoored, and what inversions find in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remission.records import Record
from remission.report.groups.estimates import MISSING, over_seeds, show
from remission.report.groups.group import Group, Row, innocents
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.measures.findings import Claim, named, reached, standing_out
from remission.report.tables.formats import Section

_NOTE = "what an inversion names here is a false alarm"
_HEADER = [
    *("purifier", "C-Acc", "C-Acc change", "class named", "images reached", "lead"),
    "seconds",
]


def claims(records: Sequence[Record]) -> dict[str, Claim]:
    """Id of a cell -> what the inversion of its purifier claimed."""
    return {
        record.id: Claim.of(said)
        for record in records
        if isinstance(said := record.details.get("inversion"), dict)
    }


def innocent_sections(records: Sequence[Record]) -> list[Section]:
    """A table for each data set and architecture, numbers in percent."""
    said = claims(records)
    return [
        Section(
            title=printable(f"{group.key.dataset} · {group.key.arch} · never backdoored"),
            notes=[f"percent; {over_seeds(group.seeds)}; {_NOTE}"],
            header=_HEADER,
            lines=[_line(group, row, said) for row in group.rows],
        )
        for group in innocents(records)
    ]


def _line(group: Group, row: Row, said: dict[str, Claim]) -> list[str]:
    found = _claimed(row, said)
    return [
        row.label,
        show(row.number("clean_acc"), seeds=group.seeds),
        MISSING if row.purifier.name == CONTROL else _change(group, row),
        named(found) or MISSING,
        reached(found),
        standing_out(found),
        MISSING if row.purifier.name == CONTROL else _seconds(group, row),
    ]


def _change(group: Group, row: Row) -> str:
    return show(group.gap(row, None, "clean_acc"), seeds=group.seeds, signed=True)


def _seconds(group: Group, row: Row) -> str:
    return show(row.number("seconds"), seeds=group.seeds, scale=1)


def _claimed(row: Row, said: dict[str, Claim]) -> list[Claim]:
    return [said[cell.id] for cell in row.cells.get(None, ()) if cell.id in said]


def innocent_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a model that was handed over, rates as fractions."""
    said, found = claims(records), []
    for group in innocents(records):
        for row in group.rows:
            for cell in row.cells.get(None, ()):
                claim = said.get(cell.id)
                found.append(
                    {
                        "dataset": cell.dataset,
                        "arch": cell.arch,
                        "seed": cell.seed,
                        "purifier": cell.purifier,
                        "purifier_params": cell.purifier_params,
                        "label": row.label,
                        "clean_acc": cell.clean_acc,
                        "control_clean_acc": _control(group, cell.seed),
                        "inversion_target": claim.target if claim else None,
                        "inversion_target_name": claim.target_name if claim else None,
                        "inversion_share": claim.share if claim else None,
                        "inversion_lead": claim.lead if claim else None,
                        "seconds": cell.seconds,
                        "status": cell.status,
                        "error": cell.error,
                        "id": cell.id,
                    }
                )
    return found


def _control(group: Group, seed: int) -> float | None:
    row = group.row(CONTROL)
    cells = row.cells.get(None, ()) if row else ()
    return next((cell.clean_acc for cell in cells if cell.seed == seed), None)
