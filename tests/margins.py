"""Comparisons for checks, which report their margins.

With ``REMISSION_TEST_MARGINS=FILE`` each comparison is added to that file as a line of JSON, so
that a thin margin is seen before it is a failure.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.environment import MARGINS


def above(value: float, bound: float, *more: object) -> None:
    """Raises AssertionError, which says ``more`` too, unless the value is larger than the bound."""
    _write(value, bound, value - bound)
    assert value > bound, (value, "is not above", bound, *more)


def below(value: float, bound: float, *more: object) -> None:
    """Raises AssertionError, which says ``more`` too, unless the value is below the bound."""
    _write(value, bound, bound - value)
    assert value < bound, (value, "is not below", bound, *more)


def _write(value: float, bound: float, margin: float) -> None:
    if not MARGINS:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
    line = {"test": test, "value": float(value), "bound": float(bound), "margin": float(margin)}
    with Path(MARGINS).open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
