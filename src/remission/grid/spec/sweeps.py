"""Tables of a spec that stand for several: every combination of the values in their ``sweep``."""

from __future__ import annotations

from itertools import product

from remission.errors import SpecError
from remission.grid.spec.tables import TomlTable

SWEEP = "sweep"
"""The key of a table whose value maps parameters to lists of values."""
SECTIONS = ("attack", "purifier", "reactivation", "ensemble")
"""The sections whose tables may have it; a spec takes one inversion of each name."""
_MOST = 1000
"""More tables than this from one are a mistake."""


def with_sweeps(spec: TomlTable) -> TomlTable:
    """Returns a spec in which each table that has a ``sweep`` became one per combination.

    The parameter that is written first changes slowest. What is no list of tables stays as it is.

    Args:
        spec: nested tables, as the TOML file holds them.

    Raises:
        SpecError: a ``sweep`` is no table of lists, has a parameter that the table has as well, or
            stands for too many tables.
    """
    return {**spec, **{name: _unrolled(spec[name], name) for name in SECTIONS if name in spec}}


def _unrolled(tables: object, section: str) -> object:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return tables
    return [one for table in tables for one in _combinations(table, section)]


def _combinations(table: TomlTable, section: str) -> list[TomlTable]:
    if SWEEP not in table:
        return [table]
    where = f"[{section}] {table.get('method', '')}".rstrip()
    rest = {key: value for key, value in table.items() if key != SWEEP}
    sweep = table[SWEEP]
    if not isinstance(sweep, dict) or not sweep:
        raise SpecError(
            f"{where}: 'sweep' is {sweep!r}", "write a table of lists: sweep = { lr = [0.01, 0.1] }"
        )
    for key, values in sweep.items():
        if key == "method" or key in rest:
            raise SpecError(
                f"{where}: '{key}' is in the table and in its sweep", "keep one of the two"
            )
        if not isinstance(values, list) or not values:
            raise SpecError(
                f"{where}: 'sweep.{key}' is {values!r}",
                "give a list of at least one value, like [0.01, 0.1]",
            )
    choices = list(product(*sweep.values()))
    if len(choices) > _MOST:
        raise SpecError(
            f"{where}: the sweep stands for {len(choices)} tables",
            f"give fewer values: at most {_MOST} combinations",
        )
    return [rest | dict(zip(sweep, choice, strict=True)) for choice in choices]
