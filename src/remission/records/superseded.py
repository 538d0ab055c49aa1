"""Which results are of the present code, where a store holds those of several versions of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from remission.records.files import VERSIONS_FILE
from remission.records.kinds import KINDS
from remission.records.record import Record


def method_of(kind: str, settings: dict[str, Any]) -> tuple[str, int | str] | None:
    """The method whose code a stage runs, as ``role name``, and its version; None without one."""
    role = KINDS[kind].runs if kind in KINDS else ""
    table = settings.get(role)
    if not isinstance(table, dict):
        return None
    versions = settings.get("versions")
    version = versions.get(role, 1) if isinstance(versions, dict) else 1
    return f"{role} {table.get('method')}", version


def versions_in(store: Path) -> dict[str, Any]:
    """The versions of methods that the last runs into a store had; nothing if it does not say."""
    with suppress(OSError, ValueError):
        found = json.loads((store / VERSIONS_FILE).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def current(
    records: Iterable[Record], versions: Mapping[str, int | str] | None = None
) -> list[Record]:
    """The records without those that an earlier version of a method made, or that build upon them.

    One version of each method stands: that of the last run, or of the record finished last.

    Args:
        records: of one store.
        versions: method, as in :func:`method_of` -> the version that stands.
    """
    records = sorted(records, key=lambda record: (record.finished, record.id))
    made = {record.id: method_of(record.kind, record.settings) for record in records}
    standing = {**dict(filter(None, made.values())), **(versions or {})}
    gone = {i for i, method in made.items() if method and standing[method[0]] != method[1]}
    while more := {
        record.id
        for record in records
        if record.id not in gone and not gone.isdisjoint(record.parents.values())
    }:
        gone |= more
    return [record for record in records if record.id not in gone]
