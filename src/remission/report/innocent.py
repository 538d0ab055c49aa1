"""What purifiers do to a model that was never backdoored, and what inversions find in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.report.estimates import MISSING, show
from remission.report.keys import CONTROL
from remission.report.labels import printable
from remission.report.layout import Lines, escape
from remission.report.summary import Group, Row, innocents

Table = Callable[[list[str], Lines], str]
_HEADER = [
    *("purifier", "C-Acc", "C-Acc change", "class named", "images reached", "anomaly"),
    "seconds",
]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an inversion says of one model.

    Args:
        target: the class that it names, None if it names none.
        share: of the images that fall into that class with the inverted trigger.
        anomaly: how far the class stands out, in deviations; None where the method has none.
    """

    target: int | None
    share: float | None
    anomaly: float | None


def claims(records: Sequence[Record]) -> dict[str, Claim]:
    """Id of a cell -> what the inversion of its purifier claimed."""
    found = {}
    for record in records:
        if isinstance(said := record.details.get("inversion"), dict):
            found[record.id] = Claim(
                target=said.get("target"),
                share=said.get("target_share"),
                anomaly=said.get("anomaly"),
            )
    return found


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table for people, of one data set and architecture."""

    title: str
    note: str
    header: list[str]
    lines: Lines


def innocent_parts(records: Sequence[Record]) -> list[Part]:
    """A table for each data set and architecture, numbers in percent."""
    said = claims(records)
    return [
        Part(
            title=printable(f"{group.key.dataset} · {group.key.arch} · never backdoored"),
            note=_note(group),
            header=_HEADER,
            lines=[_line(group, row, said) for row in group.rows],
        )
        for group in innocents(records)
    ]


def innocent_tables(records: Sequence[Record], table: Table, heading: str) -> str:
    """The same as text; empty if no such model was handed over."""
    markdown, blocks = heading.startswith("#"), []
    for part in innocent_parts(records):
        title = escape(part.title) if markdown else part.title
        parts = [heading.format(title), part.note, table(part.header, part.lines)]
        blocks.append(("\n\n" if markdown else "\n").join(parts))
    return "\n\n".join(blocks)


def _note(group: Group) -> str:
    several = f"mean ± half width of the 95 % Student-t interval over n={group.seeds} seeds"
    over = several if group.seeds > 1 else "one seed"
    return f"percent; {over}; what an inversion names here is a false alarm"


def _line(group: Group, row: Row, said: dict[str, Claim]) -> list[str]:
    found = _claimed(row, said)
    return [
        row.label,
        show(row.number("clean_acc"), seeds=group.seeds),
        MISSING if row.purifier.name == CONTROL else _change(group, row),
        ", ".join("none" if c.target is None else str(c.target) for c in found) or MISSING,
        _mean([c.share for c in found], scale=100),
        _mean([c.anomaly for c in found]),
        MISSING if row.purifier.name == CONTROL else _seconds(group, row),
    ]


def _change(group: Group, row: Row) -> str:
    return show(group.gap(row, None, "clean_acc"), seeds=group.seeds, signed=True)


def _seconds(group: Group, row: Row) -> str:
    return show(row.number("seconds"), seeds=group.seeds, scale=1)


def _claimed(row: Row, said: dict[str, Claim]) -> list[Claim]:
    return [said[cell.id] for cell in row.cells.get(None, ()) if cell.id in said]


def _mean(values: Sequence[float | None], scale: float = 1.0) -> str:
    known = [value for value in values if value is not None]
    return f"{scale * math.fsum(known) / len(known):.1f}" if known else MISSING


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
                        "inversion_share": claim.share if claim else None,
                        "inversion_anomaly": claim.anomaly if claim else None,
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
