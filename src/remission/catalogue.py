"""The catalogue of methods, read from ``catalogue.json``: importing no method, it is quick.

The file is written by ``make docs`` from :func:`remission.registry.catalogue`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def methods_by_kind() -> dict[str, list[dict[str, Any]]]:
    """``attacks``, ``inversions``, ``purifiers``, ``reactivations``, ``models`` -> their entries.

    An entry has ``name``, ``summary``, ``paper``, ``needs``, ``facts`` and ``parameters``
    (:func:`remission.method.describe`); one of a model has ``has`` instead of ``needs`` and
    ``facts``.
    """
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


@cache
def facts(role: str, name: str) -> dict[str, Any]:
    """Returns what tables must know of a method of the package; empty for one that is not here.

    Args:
        role: ``attack``, ``inversion``, ``purifier`` or ``reactivation``.
        name: of the method.

    Returns:
        ``needs`` and the method's own facts (:meth:`remission.method.Method.facts`).
    """
    entries = methods_by_kind().get(f"{role}s", [])
    entry = next((each for each in entries if each["name"] == name), None)
    return {"needs": entry["needs"], **entry["facts"]} if entry else {}


@cache
def default_inversion() -> str:
    """Returns the name of the inversion that a purifier uses unless its cells name another."""
    entries = methods_by_kind()["inversions"]
    return next(str(entry["name"]) for entry in entries if entry["facts"].get("default"))
