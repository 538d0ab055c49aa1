"""What the inversions found in each victim, beside the true target class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from remission.records import Cell, Record
from remission.report.groups.estimates import MISSING
from remission.report.groups.keys import NOBODY, GroupKey
from remission.report.groups.labels import MethodKey, label_methods, printable
from remission.report.measures.findings import Finding, moved, named, reached, standing_out
from remission.report.tables.formats import Section

_NOTE = (
    "images reached: percent of those of other classes that the inverted trigger sends to the "
    "class named; change: the root mean square by which it moves pixels in [0, 1]; lead: how many "
    "times as large a change the next class needs for each image that arrives, for inversions that "
    "search all classes; where it is near 1 no class stands out, and the one named may be any"
)
_HEADER = [
    "attack",
    "inversion",
    "class named",
    "true class",
    "images reached",
    "change",
    "lead",
]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One inversion of the grid.

    Args:
        cell: the first purified model that used it.
        key: the group of that model.
        method: the inversion with its parameters.
        finding: what it says of the victim.
    """

    cell: Cell
    key: GroupKey
    method: MethodKey
    finding: Finding

    @property
    def innocent(self) -> bool:
        """Whether there was nothing to find."""
        return self.cell.attack == NOBODY


def found_inversions(records: Sequence[Record]) -> list[Found]:
    """The inversions that purified models rest on, in a stable order."""
    cells = {
        record.parents["inversion"]: (record.cell, GroupKey.of(record.cell, record))
        for record in reversed(records)
        if record.cell is not None and "inversion" in record.parents
    }
    found = []
    for record in records:
        if record.kind != "inversion" or record.status != "done" or record.id not in cells:
            continue
        cell, key = cells[record.id]
        table = dict(record.settings["inversion"])
        found.append(
            Found(
                cell=cell,
                key=key,
                method=MethodKey.of(table.pop("method"), table),
                finding=Finding.of(record.details),
            )
        )
    return sorted(found, key=_order)


def _order(one: Found) -> tuple[Any, ...]:
    key = one.key
    return key.dataset, key.arch, one.innocent, key.order(), one.method, one.cell.seed


def inversion_sections(records: Sequence[Record]) -> list[Section]:
    """A table for each data set and architecture: a line an attack and inversion."""
    found = found_inversions(records)
    methods = label_methods(one.method for one in found)
    attacks = label_methods(one.key.attack for one in found)
    return [
        Section(
            title=printable(f"{dataset} · {arch} · what the inversions found"),
            notes=[_NOTE],
            header=_HEADER,
            lines=[
                _line(list(same), attacks, methods)
                for _, same in groupby(part, key=lambda one: (one.key, one.method))
            ],
        )
        for (dataset, arch), part in groupby(found, key=lambda x: (x.cell.dataset, x.cell.arch))
    ]


def _line(
    seeds: list[Found], attacks: dict[MethodKey, str], methods: dict[MethodKey, str]
) -> list[str]:
    key = seeds[0].key
    true = "none: never backdoored" if seeds[0].innocent else str(key.target)
    findings = [one.finding for one in seeds]
    return [
        MISSING if seeds[0].innocent else attacks[key.attack],
        methods[seeds[0].method],
        named(findings),
        true,
        reached(findings),
        moved(findings),
        standing_out(findings),
    ]


def inversion_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object an inversion, rates as fractions."""
    return [
        {
            **one.cell.subject("dataset", "arch", "attack", "attack_params", "poison_rate"),
            "true_target": one.cell.target,
            "seed": one.cell.seed,
            "inversion": one.method.name,
            "inversion_params": one.method.parameters,
            **asdict(one.finding),
        }
        for one in found_inversions(records)
    ]
