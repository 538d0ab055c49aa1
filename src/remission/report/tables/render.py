"""Renders a view of records as one string, in one of the formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from remission.errors import UserError, closest
from remission.records import Record
from remission.report.groups.results import Results
from remission.report.tables.formats import (
    Table,
    csv_text,
    json_text,
    tables_markdown,
    tables_text,
)
from remission.report.tables.views import VIEWS, View

_WRITERS: dict[str, Callable[[View, Results], str]] = {
    "text": lambda view, results: tables_text(_tables(view, results)),
    "markdown": lambda view, results: tables_markdown(_tables(view, results)),
    "csv": lambda view, results: csv_text((view.flat or view.objects)(results)),
    "json": lambda view, results: json_text(view.objects(results)),
}


def render(records: Sequence[Record], view: str, format: str) -> str:
    """Returns the results as one string, without a newline at its end.

    Args:
        records: the records of one store.
        view: a name in :data:`remission.report.tables.views.VIEWS`.
        format: ``text`` and ``markdown`` show percentages to people, ``csv`` and ``json`` hold
            fractions.

    Raises:
        UserError: an unknown view or format.
    """
    check_view(view)
    if format not in _WRITERS:
        raise UserError(f"--format {format} is unknown", closest(format, _WRITERS))
    return _WRITERS[format](VIEWS[view], Results.of(records))


def _tables(view: View, results: Results) -> list[Table]:
    """Returns the tables of a view, and then a sentence on the records that are not in them."""
    note = results.note
    return [*view.tables(results), *([Table(notes=[note])] if note else [])]


def check_view(name: str) -> None:
    """Raises a ``UserError`` with the closest name where there is no such view."""
    if name not in VIEWS:
        raise UserError(f"--view {name} is unknown", closest(name, VIEWS))
