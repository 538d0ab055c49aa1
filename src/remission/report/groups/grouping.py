"""Groups records into rows and columns: the one aggregation behind the tables and the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from remission.names import class_text
from remission.records import Cell, PathCurve, Record, Subject, cells, path_curves
from remission.report.groups.collapse import constant_answers
from remission.report.groups.facts import MethodFacts
from remission.report.groups.group import Group
from remission.report.groups.keys import (
    BEFORE,
    BY_SEED,
    VICTIM,
    GroupKey,
    purifier_of,
    rank,
    reactivation_of,
)
from remission.report.groups.labels import MethodKey, label_methods, printable
from remission.report.groups.rows import Column, Row
from remission.report.groups.settings import setting_labels
from remission.report.groups.targets import target_name

_Lines = dict[tuple[str, str], list[PathCurve]]
"""(label of a purifier, batch-norm policy) -> one per seed."""
_OtherPaths = dict[tuple[str, str, str], list[PathCurve]]
"""(label of a purifier, ``PathCurve.walk``, batch-norm policy) -> one per seed."""


def group_records(
    records: Sequence[Record], key_of: Callable[[Subject, Record], GroupKey]
) -> list[Group]:
    """Groups the measured models and the paths, in a stable order.

    Models that were never backdoored, which purifiers are tried on as well, form groups of their
    own: their attack is ``NOBODY``.

    Args:
        records: of one store.
        key_of: returns the group of a measured model or path.
    """
    paths: dict[GroupKey, list[PathCurve]] = {}
    for record in sorted(records, key=lambda record: record.finished):
        for path in record.paths:
            paths.setdefault(key_of(path, record), []).append(path)
    members: dict[GroupKey, list[Cell]] = {key: [] for key in paths}
    for record in records:
        if cell := record.cell:
            members.setdefault(key_of(cell, record), []).append(cell)
    names = _Names(records, members)
    return [
        names.group(key, members[key], paths.get(key, []))
        for key in sorted(members, key=GroupKey.order)
    ]


class _Names:
    """Labels and facts of the methods of a store, so that each has one name and one colour."""

    def __init__(self, records: Sequence[Record], keys: Collection[GroupKey]) -> None:
        measured = cells(records)
        items = [*measured, *path_curves(records)]
        self.purifiers = {
            method: label.replace(VICTIM, "victim", 1) if method.name == VICTIM else label
            for method, label in label_methods(purifier_of(item) for item in items).items()
        }
        reactivated = [cell for cell in measured if cell.reactivation != BEFORE]
        self.reactivations = label_methods(map(reactivation_of, reactivated))
        self.attacks = label_methods(key.attack for key in keys)
        self.victims = [record for record in records if record.kind == "victim"]
        self.settings = setting_labels(keys)
        self.facts = MethodFacts(records)
        # Every reactivation that perturbs images is measured without the trigger as well.
        self.perturbing = {cell.reactivation for cell in measured if cell.asr_clean is not None}

    def column(self, cell: Cell) -> Column | None:
        """Returns the column of a cell; None before any reactivation."""
        if cell.reactivation == BEFORE:
            return None
        method = reactivation_of(cell)
        facts = self.facts.of("reactivation", method.name)
        perturbs = facts.get("changes") == "images" or method.name in self.perturbing
        return Column(
            reactivation=method,
            label=self.reactivations[method],
            budget=cell.budget,
            perturbs=perturbs,
            in_place=perturbs and facts.get("triggered") is False,
        )

    def row(self, purifier: MethodKey, measured: Mapping[Column | None, Sequence[Cell]]) -> Row:
        """Builds the row of a purifier."""
        unit = self.facts.of("purifier", purifier.name).get("unit_of_cost", False)
        label = self.purifiers[purifier]
        return Row(purifier=purifier, label=label, cells=measured, unit_of_cost=unit)

    def group(self, key: GroupKey, members: Sequence[Cell], paths: Sequence[PathCurve]) -> Group:
        """Builds a group from its cells and its paths, which are in the order of their records."""
        table: dict[MethodKey, dict[Column | None, list[Cell]]] = {}
        for cell in sorted(members, key=lambda c: (c.seed, c.id)):
            row = table.setdefault(purifier_of(cell), {})
            row.setdefault(self.column(cell), []).append(cell)
        columns = {column for row in table.values() for column in row if column is not None}
        lines, other_paths = self.other_paths(paths)
        slots = [slot for row in table.values() for slot in row.values()]
        seeds = [len({cell.seed for cell in slot if cell.status == "done"}) for slot in slots]
        purifiers = sorted(table, key=lambda purifier: rank(purifier, self.purifiers))
        name = None if key.target == BY_SEED else target_name([*members, *paths])
        return Group(
            key=key,
            title=_title(key, self.attacks[key.attack], self.settings[key], name),
            setting=self.settings[key],
            columns=tuple(sorted(columns, key=lambda c: (c.reactivation, _budget(c)))),
            rows=tuple(self.row(purifier, table[purifier]) for purifier in purifiers),
            paths=lines,
            other_paths=other_paths,
            seeds=max(seeds, default=0),
            constant=constant_answers(members, self.victims),
            repeated=sum(len(slot) - len({cell.seed for cell in slot}) for slot in slots),
        )

    def other_paths(self, paths: Sequence[PathCurve]) -> tuple[_Lines, _OtherPaths]:
        """Returns the straight lines from victim to purified, and the other paths."""
        lines: _Lines = {}
        other_paths: _OtherPaths = {}
        last = {(purifier_of(p), p.seed, p.walk, p.batchnorm): p for p in paths}
        order = sorted(last.values(), key=lambda p: (rank(purifier_of(p), self.purifiers), p.seed))
        for path in order:
            label = self.purifiers[purifier_of(path)]
            if path.walk == "line":
                lines.setdefault((label, path.batchnorm), []).append(path)
            else:
                other_paths.setdefault((label, path.walk, path.batchnorm), []).append(path)
        return lines, other_paths


def failures(records: Iterable[Record]) -> list[tuple[str, str]]:
    """Returns label and error of every record that failed, with a cell or without."""
    failed = []
    for record in records:
        cell_failed = record.cell is not None and record.cell.status == "failed"
        if record.status == "failed" or cell_failed:
            error = record.error or (record.cell.error if record.cell else None)
            failed.append((printable(record.label), printable(error or "no reason was recorded")))
    return failed


def ancestors(record: Record, by_id: Mapping[str, Record]) -> list[Record]:
    """Returns the records whose results ``record`` used, nearest first."""
    sources: dict[str, Record] = {}
    waiting = [record]
    while waiting:
        for parent_id in waiting.pop(0).parents.values():
            parent = by_id.get(parent_id)
            if parent is not None and parent_id not in sources:
                sources[parent_id] = parent
                waiting.append(parent)
    return list(sources.values())


def _budget(column: Column) -> float:
    return math.inf if column.budget is None else column.budget


def _title(key: GroupKey, attack: str, setting: str, name: str | None) -> str:
    rate = f"poison rate {100 * key.poison_rate:g} %"
    target = f"target {class_text(key.target, name)}"
    parts = [key.dataset, key.arch, attack, rate, target, *([setting] if setting else [])]
    return printable(" · ".join(parts))
