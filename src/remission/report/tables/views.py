"""The registry of views for ``remission table --view``, each described in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from remission.records import Json
from remission.report.groups.results import Results
from remission.report.tables.columns import TableColumn
from remission.report.tables.formats import Table


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to look at the results of a store.

    Args:
        name: what ``--view`` takes.
        summary: what a row of it is, for help and documentation; no full stop at its end.
        empty: why the view of a store may be empty; no full stop at its end.
        tables: returns the tables for people, rates in percent: text and Markdown.
        objects: returns the objects for programs, rates as fractions: JSON, and CSV with one line
            per object.
        flat: returns the lines of CSV; None: they are the objects of JSON.
        columns: the columns of a view that has the same columns for every store. A column that is
            registered here is shown in every format, and on the page where it shows the view.
    """

    name: str
    summary: str
    empty: str
    tables: Callable[[Results], Sequence[Table]]
    objects: Callable[[Results], Sequence[Json]]
    flat: Callable[[Results], Sequence[Json]] | None = None
    columns: list[TableColumn[Any, Any]] | None = field(default=None, repr=False)


VIEWS: dict[str, View] = {}
"""Name -> view. Importing :mod:`remission.report.tables` fills it."""


def register_view(view: View) -> View:
    """Adds a view, or replaces the one of that name, and returns it."""
    VIEWS[view.name] = view
    return view


def register_column(view: str, column: TableColumn[Any, Any]) -> None:
    """Adds a column to a view.

    Raises:
        KeyError: there is no such view.
        TypeError: its columns are not the same for every store.
    """
    columns = VIEWS[view].columns
    if columns is None:
        raise TypeError(f"the columns of the view {view!r} depend on the store")
    columns.append(column)
