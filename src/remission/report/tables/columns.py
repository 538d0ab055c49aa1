"""Columns of tables: each describes in one place what people and what programs see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from remission.records import Json
from remission.report.groups.estimates import MISSING
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.tables.formats import Table

Line = TypeVar("Line")
"""The content of one row for people."""
Item = TypeVar("Item")
"""The content of one object for programs: often the same, or one seed of it."""


@dataclass(frozen=True, kw_only=True)
class TableColumn(Generic[Line, Item]):
    """One column. Without ``text`` it is for programs alone, without ``value`` for people alone.

    Args:
        header: its name for people.
        text: returns the text of a row, rates in percent.
        key: its name for programs.
        value: returns the JSON value of an object, rates as fractions.
        shade: returns how dark the page draws the cell, in [0, 1]; None: no shading.
        varies: whether people see it only in tables whose rows differ in it.
        sparse: whether people see it only in tables where some row has a value.
    """

    header: str = ""
    text: Callable[[Line], str] | None = None
    key: str = ""
    value: Callable[[Item], object] | None = None
    shade: Callable[[Line], float | None] | None = None
    varies: bool = False
    sparse: bool = False

    def shows(self, texts: Sequence[str]) -> bool:
        """Returns whether people see the column in a table whose rows have these texts."""
        if self.sparse and set(texts) <= {MISSING}:
            return False
        return not self.varies or len(set(texts)) > 1


def table_of(
    columns: Iterable[TableColumn[Line, Item]],
    lines: Sequence[Line],
    *,
    title: str = "",
    notes: Sequence[str] = (),
) -> Table:
    """Builds a table for people: one row per line."""
    written = [(c, [c.text(line) for line in lines]) for c in columns if c.text]
    visible = [(c, texts) for c, texts in written if c.shows(texts)]
    return Table(
        title=title,
        notes=notes,
        header=[column.header for column, _ in visible],
        rows=[[texts[k] for _, texts in visible] for k in range(len(lines))],
        shading=[
            [column.shade(line) if column.shade else None for column, _ in visible]
            for line in lines
        ],
    )


def objects_of(columns: Iterable[TableColumn[Line, Item]], items: Iterable[Item]) -> list[Json]:
    """Builds the objects for programs: one per item."""
    columns_of_programs = [(column.key, column.value) for column in columns if column.value]
    return [{key: value(item) for key, value in columns_of_programs} for item in items]


def objects_of_overviews(
    columns: Sequence[TableColumn[Line, Item]],
    items: Callable[[Sequence[Group]], Iterable[Item]],
    results: Results,
) -> list[Json]:
    """Builds the objects of tables over attacks: one per item, with data set, model and setting.

    Args:
        columns: see :class:`TableColumn`.
        items: returns the items of the groups of one data set, model and setting.
        results: has these groups.
    """
    return [
        {
            "dataset": groups[0].key.dataset,
            "arch": groups[0].key.arch,
            **entries,
            "setting": groups[0].key.subject()["setting"],
        }
        for groups in results.overviews
        for entries in objects_of(columns, items(groups))
    ]
