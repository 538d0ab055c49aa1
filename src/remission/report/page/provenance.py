"""What the records of a store were computed with: settings and environments."""

from __future__ import annotations

import json
from collections.abc import Sequence

from remission.records import Record, brief
from remission.report.groups.labels import canonical, flat, printable


def settings(records: Sequence[Record]) -> dict[str, list[tuple[str, str]]]:
    """Kind -> (label, JSON) of each distinct settings block."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for record in records:
        shown = brief(record.settings)
        text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False)
        blocks = found.setdefault(record.kind, {})
        blocks.setdefault(canonical(record.settings), (printable(record.label), text))
    return {kind: list(blocks.values()) for kind, blocks in sorted(found.items())}


def environments(records: Sequence[Record]) -> list[tuple[int, dict[str, str]]]:
    """(records made in it, its entries) of each distinct environment, the commonest first."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.environment:
            found.setdefault(canonical(record.environment), []).append(record)
    ordered = sorted(found.values(), key=len, reverse=True)
    return [(len(made), flat(made[0].environment)) for made in ordered]
