"""Records -> groups, rows and columns: the one aggregation behind the tables and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from remission.records import Cell, PathCurve, Record, cells, path_curves
from remission.report.groups.estimates import Estimate, Measure, estimate, gap, wilson
from remission.report.groups.keys import (
    BEFORE,
    CONTROL,
    NOBODY,
    VICTIM,
    GroupKey,
    purifier_of,
    rank,
    reactivation_of,
)
from remission.report.groups.labels import Method, label_methods, printable
from remission.report.groups.targets import class_text, target_name


@dataclass(frozen=True, kw_only=True)
class Column:
    """One reactivation at one budget (None: the method takes no poisoned images)."""

    reactivation: Method
    label: str
    budget: int | None

    @property
    def title(self) -> str:
        """For example ``retuning n=5``."""
        return self.label if self.budget is None else f"{self.label} n={self.budget}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One purifier with its parameters; ``cells`` maps None to the cells before reactivation."""

    purifier: Method
    label: str
    cells: Mapping[Column | None, Sequence[Cell]] = field(repr=False)

    def number(self, measure: Measure, column: Column | None = None) -> Estimate:
        """The mean over seeds after ``column``, or before any reactivation."""
        return estimate(self.cells.get(column, ()), measure)

    @property
    def reference(self) -> bool:
        """Whether this is the victim or the control, not a purifier."""
        return self.purifier.name in (VICTIM, CONTROL)


@dataclass(frozen=True, kw_only=True)
class Group:
    """One table: victim and control first, then the purifiers."""

    key: GroupKey
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    paths: Mapping[tuple[str, str], Sequence[PathCurve]] = field(repr=False)
    """(purifier label, batch-norm policy) -> one straight line a seed, victim to purified."""
    walks: Mapping[tuple[str, str, str], Sequence[PathCurve]] = field(repr=False)
    """(purifier label, walk, batch-norm policy) -> one a seed, of the other walks."""
    seeds: int
    """Most seeds that any number of the group rests on."""
    repeated: int
    """Cells that share row, column and seed with another one."""

    @property
    def target_name(self) -> str | None:
        """The name of the attacker's class; None where no record holds it."""
        rows = (cell for row in self.rows for cells_ in row.cells.values() for cell in cells_)
        curves = (path for paths in self.paths.values() for path in paths)
        return target_name([*rows, *curves])

    def row(self, purifier: str) -> Row | None:
        """The first row of a purifier, by its name."""
        return next((row for row in self.rows if row.purifier.name == purifier), None)

    def cost(self, row: Row) -> Estimate:
        """A purifier's, in epochs of plain fine-tuning by processor seconds; needs a row `ft`."""
        tuned = self.row("ft")
        seconds = tuned.number("cpu_seconds").mean if tuned else None
        epochs = tuned.purifier.parameters.get("epochs") if tuned else None
        if row.reference or not seconds or not isinstance(epochs, int):
            return Estimate()
        return row.number("cpu_seconds").scaled(epochs / seconds)

    def gap(self, row: Row, column: Column | None, measure: Measure = "asr") -> Estimate:
        """ASR above the control's after the same reactivation at the same budget."""
        theirs = self.beside(row, column, alike=measure != "asr")
        return gap(row.cells.get(column, ()), theirs, measure)

    def beside(self, row: Row, column: Column | None, *, alike: bool = False) -> list[Cell]:
        """The control's cells that those of a row are compared with.

        After a reactivation that perturbs images the control has two figures, under the very same
        perturbation and under the one made for itself: the one of higher ASR counts, unless
        ``alike`` asks for the control's own row.
        """
        ours = row.cells.get(column, ())
        control = [
            cell
            for other in self.rows
            if other.purifier.name == CONTROL
            for cell in other.cells.get(column, ())
        ]
        if alike or all(cell.control_asr is None for cell in ours):
            return control
        return [_on_control(cell, control) for cell in ours]

    def perturbed(self, column: Column) -> bool:
        """Whether a reactivation perturbs images; else it changes weights."""
        return any(
            cell.asr_clean is not None for row in self.rows for cell in row.cells.get(column, ())
        )

    def in_place(self, column: Column) -> bool:
        """Whether a perturbation takes the trigger's place: both of its ASR are of clean images."""
        return column.reactivation.name == "alternative"


def _on_control(cell: Cell, control: Sequence[Cell]) -> Cell:
    """The cell of the control with the higher ASR: the same perturbation's, or its own."""
    interval = wilson(cell.control_asr, cell.n_triggered)
    same = replace(cell, asr=cell.control_asr, asr_interval=interval)
    own = [other for other in control if other.seed == cell.seed and other.asr is not None]
    return max([same, *own], key=lambda each: each.asr or 0.0)


def summarise(records: Sequence[Record]) -> list[Group]:
    """Groups the measured models and the paths, in a stable order.

    Without the never-backdoored models that purifiers were handed, see :func:`innocents`.
    """
    return [group for group in _groups(records) if group.key.attack.name != NOBODY]


def innocents(records: Sequence[Record]) -> list[Group]:
    """The never-backdoored models that purifiers were handed, a group a data set and model."""
    return [group for group in _groups(records) if group.key.attack.name == NOBODY]


def _groups(records: Sequence[Record]) -> list[Group]:
    measured = cells(records)
    paths: dict[GroupKey, list[PathCurve]] = {}
    for path in path_curves(sorted(records, key=lambda record: record.finished)):
        paths.setdefault(GroupKey.of(path), []).append(path)
    by_group: dict[GroupKey, list[Cell]] = {key: [] for key in paths}
    for cell in measured:
        by_group.setdefault(GroupKey.of(cell), []).append(cell)
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
    purifiers: Mapping[Method, str],
    reactivations: Mapping[Method, str],
    attacks: Mapping[Method, str],
) -> Group:
    found: dict[Method, dict[Column | None, list[Cell]]] = {}
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
        title=_title(key, attacks[key.attack], target_name([*members, *paths])),
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


def _title(key: GroupKey, attack: str, name: str | None) -> str:
    rate = f"poison rate {100 * key.poison_rate:g} %"
    target = f"target {class_text(key.target, name)}"
    return printable(" · ".join([key.dataset, key.arch, attack, rate, target]))
