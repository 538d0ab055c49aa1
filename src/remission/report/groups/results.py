"""Records -> groups, rows and columns: the one aggregation behind the tables and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import overload

from remission.records import Cell, PathCurve, Record, cells
from remission.report.groups.group import Group
from remission.report.groups.keys import (
    BEFORE,
    NOBODY,
    VICTIM,
    GroupKey,
    purifier_of,
    rank,
    reactivation_of,
)
from remission.report.groups.labels import MethodKey, label_methods, printable
from remission.report.groups.rows import Column, Row


class Results(Sequence[Record]):
    """The records of a store, grouped once however many tables are made of them."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = tuple(records)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Results:
        """Returns ``records`` as results; those that are results already, as they are."""
        return records if isinstance(records, cls) else cls(records)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @cached_property
    def every(self) -> list[Group]:
        """All groups in a stable order, those of never-backdoored models included."""
        return _groups(self._records)

    @property
    def groups(self) -> list[Group]:
        """The groups of backdoored models: one per data set, architecture and attack."""
        return [group for group in self.every if group.key.attack.name != NOBODY]

    @property
    def innocents(self) -> list[Group]:
        """The groups of models without a backdoor that purifiers were tried on."""
        return [group for group in self.every if group.key.attack.name == NOBODY]

    @property
    def overviews(self) -> list[list[Group]]:
        """The groups that hold purified models; those of one data set and model together."""
        groups = [group for group in self.groups if group.purified]
        return [
            list(members)
            for _, members in groupby(groups, key=lambda group: (group.key.dataset, group.key.arch))
        ]


def summarise(records: Sequence[Record]) -> list[Group]:
    """Groups the measured models and the paths, in a stable order.

    Without the models without a backdoor that purifiers were tried on: see
    :attr:`Results.innocents`.
    """
    return Results.of(records).groups


def _groups(records: Sequence[Record]) -> list[Group]:
    measured = cells(records)
    paths: dict[GroupKey, list[PathCurve]] = {}
    for record in sorted(records, key=lambda record: record.finished):
        for path in record.paths:
            paths.setdefault(GroupKey.of(path, record), []).append(path)
    by_group: dict[GroupKey, list[Cell]] = {key: [] for key in paths}
    for record in records:
        if cell := record.cell:
            by_group.setdefault(GroupKey.of(cell, record), []).append(cell)
    # Labels are made over the whole store, so that a method has one name and one colour in it.
    used: list[Cell | PathCurve] = [*measured, *(p for found in paths.values() for p in found)]
    purifiers = {
        method: label.replace(VICTIM, "victim", 1) if method.name == VICTIM else label
        for method, label in label_methods([purifier_of(item) for item in used]).items()
    }
    reactivations = label_methods(reactivation_of(c) for c in measured if c.reactivation != BEFORE)
    attacks = label_methods(key.attack for key in by_group)
    return [
        _group(
            key,
            by_group[key],
            paths.get(key, []),
            purifiers=purifiers,
            reactivations=reactivations,
            attacks=attacks,
        )
        for key in sorted(by_group, key=GroupKey.order)
    ]


def _group(
    key: GroupKey,
    members: Sequence[Cell],
    paths: Sequence[PathCurve],
    *,
    purifiers: Mapping[MethodKey, str],
    reactivations: Mapping[MethodKey, str],
    attacks: Mapping[MethodKey, str],
) -> Group:
    found: dict[MethodKey, dict[Column | None, list[Cell]]] = {}
    columns: set[Column] = set()
    for cell in sorted(members, key=lambda c: (c.seed, c.id)):
        column = None
        if cell.reactivation != BEFORE:
            method = reactivation_of(cell)
            column = Column(reactivation=method, label=reactivations[method], budget=cell.budget)
            columns.add(column)
        found.setdefault(purifier_of(cell), {}).setdefault(column, []).append(cell)
    rows = [
        Row(purifier=method, label=purifiers[method], cells=found[method])
        for method in sorted(found, key=lambda m: rank(m, purifiers))
    ]
    curves: dict[tuple[str, str], list[PathCurve]] = {}
    walks: dict[tuple[str, str, str], list[PathCurve]] = {}
    last = {(purifier_of(p), p.seed, p.walk, p.batchnorm): p for p in paths}  # one a seed
    for path in sorted(last.values(), key=lambda p: (rank(purifier_of(p), purifiers), p.seed)):
        label = purifiers[purifier_of(path)]
        if path.walk == "line":
            curves.setdefault((label, path.batchnorm), []).append(path)
        else:
            walks.setdefault((label, path.walk, path.batchnorm), []).append(path)
    slots = [cells_ for row in found.values() for cells_ in row.values()]
    return Group(
        key=key,
        title=_title(key, attacks[key.attack]),
        columns=tuple(sorted(columns, key=lambda c: (c.reactivation, _budget(c)))),
        rows=tuple(rows),
        paths=curves,
        walks=walks,
        seeds=max((len({c.seed for c in slot if c.status == "done"}) for slot in slots), default=0),
        repeated=sum(len(slot) - len({c.seed for c in slot}) for slot in slots),
    )


def failures(records: Iterable[Record]) -> list[tuple[str, str]]:
    """(label, error) of every record that failed, whether or not it got as far as a cell."""
    found = []
    for record in records:
        cell_failed = record.cell is not None and record.cell.status == "failed"
        if record.status == "failed" or cell_failed:
            error = record.error or (record.cell.error if record.cell else None)
            found.append((printable(record.label), printable(error or "no reason was recorded")))
    return found


def ancestors(record: Record, by_id: Mapping[str, Record]) -> list[Record]:
    """The records whose results ``record`` used, nearest first."""
    found: dict[str, Record] = {}
    waiting = [record]
    while waiting:
        for parent_id in waiting.pop(0).parents.values():
            parent = by_id.get(parent_id)
            if parent is not None and parent_id not in found:
                found[parent_id] = parent
                waiting.append(parent)
    return list(found.values())


def _budget(column: Column) -> float:
    return math.inf if column.budget is None else column.budget


def _title(key: GroupKey, attack: str) -> str:
    rate = f"poison rate {100 * key.poison_rate:g} %"
    return printable(" · ".join([key.dataset, key.arch, attack, rate, f"target {key.target}"]))
