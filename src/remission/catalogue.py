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

    An entry has ``name``, ``summary``, ``paper``, ``needs`` and ``parameters``
    (:func:`remission.method.describe`); one of a model has ``has`` instead of ``needs``.
    """
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found
