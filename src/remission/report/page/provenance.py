"""The settings and environments of the records of a store."""

from __future__ import annotations

import json
from collections.abc import Sequence

from remission.records import Record, brief
from remission.report.groups.labels import canonical, flat, printable


def settings(records: Sequence[Record]) -> dict[str, list[tuple[str, str]]]:
    """Returns kind -> (label, JSON) of each distinct settings block."""
    kinds: dict[str, dict[str, tuple[str, str]]] = {}
    for record in records:
        content = brief(record.settings)
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
        blocks = kinds.setdefault(record.kind, {})
        blocks.setdefault(canonical(record.settings), (printable(record.label), text))
    return {kind: list(blocks.values()) for kind, blocks in sorted(kinds.items())}


def environments(records: Sequence[Record]) -> list[tuple[int, dict[str, str]]]:
    """Returns (number of records, entries) of each environment, the most common first."""
    members_of: dict[str, list[Record]] = {}
    for record in records:
        if record.environment:
            members_of.setdefault(canonical(record.environment), []).append(record)
    ordered = sorted(members_of.values(), key=len, reverse=True)
    return [(len(members), flat(members[0].environment)) for members in ordered]
