"""Facts about methods for tables, from records and not from a list of names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from remission.catalogue import facts
from remission.records import Json, Record
from remission.records.kinds import KINDS


class MethodFacts:
    """The facts of the methods of a store, by role and name.

    Records hold them. Where older records lack them, the catalogue has the facts of the package's
    own methods, and the preview pictures of a perturbation show which images it changes.

    Args:
        records: of one store.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._recorded: dict[tuple[str, str], Json] = {}
        self._shown: dict[tuple[str, str], Json] = {}
        for record in sorted(records, key=lambda record: record.finished):
            if method := _method_of(record):
                if isinstance(entries := record.details.get("facts"), dict):
                    self._recorded[method] = entries
                if "preview_perturbed" in record.artefacts:
                    triggered = "preview_triggered" in record.artefacts
                    self._shown[method] = {"changes": "images", "triggered": triggered}

    def of(self, role: str, name: str) -> Json:
        """Returns the facts of a method; empty where nothing is known.

        Args:
            role: ``attack``, ``inversion``, ``purifier`` or ``reactivation``.
            name: of the method.
        """
        method = role, name
        return self._recorded.get(method) or facts(role, name) or self._shown.get(method, {})


def _method_of(record: Record) -> tuple[str, str] | None:
    """Returns role and name of the method whose code computed a record; None without one."""
    role = KINDS[record.kind].runs if record.kind in KINDS else ""
    table: Any = record.settings.get(role)
    if role and isinstance(table, dict) and "method" in table:
        return role, str(table["method"])
    name = getattr(record.cell, role, None) if role else None
    return (role, name) if isinstance(name, str) else None
