"""Which results come from the present code, where a store holds those of several versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from remission.errors import StoreError
from remission.records.files import VERSIONS_FILE
from remission.records.kinds import KINDS
from remission.records.places import StorePath
from remission.records.record import Record
from remission.records.sealing import unsealed


def method_of(kind: str, settings: dict[str, Any]) -> tuple[str, int | str] | None:
    """Returns the method whose code a stage runs, as ``role name``, and its version.

    A method that runs another one has a version for each: ``role name of its base``.

    Args:
        kind: the kind of the stage.
        settings: the settings that its identity is made from.

    Returns:
        None where the stage runs the code of no method.
    """
    role = KINDS[kind].runs if kind in KINDS else ""
    table = settings.get(role)
    if not isinstance(table, dict):
        return None
    versions = settings.get("versions")
    version = versions.get(role, 1) if isinstance(versions, dict) else 1
    base = table.get("base")
    inner = f" of {base.get('method')}" if isinstance(base, dict) else ""
    return f"{role} {table.get('method')}{inner}", version


def versions_in(store: StorePath) -> dict[str, Any]:
    """Reads the versions of methods that the last runs into a store had.

    Returns:
        Method, as in :func:`method_of` -> version; empty where the store keeps no versions.

    Raises:
        StoreError: the file is damaged or cannot be read, so that nothing says which results count.
    """
    file = store / VERSIONS_FILE
    try:
        versions = json.loads(unsealed(file.read_bytes().decode()))
        if not isinstance(versions, dict):
            raise TypeError("it holds no table")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"the file '{file}', which says which versions of methods count, cannot be read or is "
            f"damaged ({error})",
            "bring it back from a copy of the store, or run any spec again, which writes it anew: "
            "of each method that no run asks for, the version of the newest result then counts",
        ) from error
    return versions


def newest_versions(records: Iterable[Record]) -> dict[str, int | str]:
    """Returns method, as in :func:`method_of` -> version of its record that was finished last."""
    ordered = sorted(records, key=lambda record: (record.finished, record.id))
    return dict(filter(None, (method_of(record.kind, record.settings) for record in ordered)))


def current(
    records: Iterable[Record], versions: Mapping[str, int | str] | None = None
) -> list[Record]:
    """Leaves out records of superseded versions of a method, and records that build upon them.

    One version of each method is current: that of the last run, or else that of the record which
    was finished last.

    Args:
        records: the records of one store.
        versions: method, as in :func:`method_of` -> its current version.
    """
    records = sorted(records, key=lambda record: (record.finished, record.id))  # may be an iterator
    methods = {record.id: method_of(record.kind, record.settings) for record in records}
    latest = {**newest_versions(records), **(versions or {})}
    superseded = {i for i, method in methods.items() if method and latest[method[0]] != method[1]}
    while further := {
        record.id
        for record in records
        if record.id not in superseded and not superseded.isdisjoint(record.parents.values())
    }:
        superseded |= further
    return [record for record in records if record.id not in superseded]
