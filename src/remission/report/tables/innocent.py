"""What purifiers do to a model that was never backdoored, and what inversions find in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remission.records import Record
from remission.report.groups.estimates import MISSING, over_seeds, show
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.measures.findings import Finding, named, reached, standing_out
from remission.report.tables.formats import Section

_NOTE = "what an inversion names here is a false alarm"
_HEADER = [
    *("purifier", "C-Acc", "C-Acc change", "class named", "images reached", "lead"),
    "seconds",
]


def findings(records: Sequence[Record]) -> dict[str, Finding]:
    """Id of a cell -> what the inversion of its purifier says."""
    return {
        record.id: Finding.of(said)
        for record in records
        if isinstance(said := record.details.get("inversion"), dict)
    }


def innocent_sections(records: Sequence[Record]) -> list[Section]:
    """A table for each data set and architecture, numbers in percent."""
    said = findings(records)
    return [
        Section(
            title=printable(f"{group.key.dataset} · {group.key.arch} · never backdoored"),
            notes=[f"percent; {over_seeds(group.seeds)}; {_NOTE}"],
            header=_HEADER,
            lines=[_line(group, row, said) for row in group.rows],
        )
        for group in Results(records).innocents
    ]


def _line(group: Group, row: Row, said: dict[str, Finding]) -> list[str]:
    found = _findings(row, said)
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


def _findings(row: Row, said: dict[str, Finding]) -> list[Finding]:
    return [said[cell.id] for cell in row.cells.get(None, ()) if cell.id in said]


def innocent_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a model that was handed over, rates as fractions."""
    said, found = findings(records), []
    for group in Results(records).innocents:
        for row in group.rows:
            for cell in row.cells.get(None, ()):
                finding = said.get(cell.id)
                found.append(
                    {
                        **cell.subject("dataset", "arch", "seed", "purifier", "purifier_params"),
                        "label": row.label,
                        "clean_acc": cell.clean_acc,
                        "control_clean_acc": _control(group, cell.seed),
                        "inversion_target": finding.target if finding else None,
                        "inversion_share": finding.share if finding else None,
                        "inversion_lead": finding.lead if finding else None,
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
