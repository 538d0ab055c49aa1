"""What the inversions found in each victim, beside the true target class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from remission.records import Cell, Record
from remission.report.groups.estimates import MISSING
from remission.report.groups.keys import NOBODY, GroupKey
from remission.report.groups.labels import Method, label_methods, printable
from remission.report.groups.targets import class_text, target_name
from remission.report.measures.findings import Claim, moved, named, reached, standing_out
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
        method: the inversion with its parameters.
        claim: what it says of the victim.
    """

    cell: Cell
    method: Method
    claim: Claim

    @property
    def innocent(self) -> bool:
        """Whether there was nothing to find."""
        return self.cell.attack == NOBODY


def found_inversions(records: Sequence[Record]) -> list[Found]:
    """The inversions that purified models rest on, in a stable order."""
    cells = {
        record.parents["inversion"]: record.cell
        for record in reversed(records)
        if record.cell is not None and "inversion" in record.parents
    }
    found = []
    for record in records:
        if record.kind != "inversion" or record.status != "done" or record.id not in cells:
            continue
        table = dict(record.settings["inversion"])
        found.append(
            Found(
                cell=cells[record.id],
                method=Method.of(table.pop("method"), table),
                claim=Claim.of(record.details),
            )
        )
    return sorted(found, key=_order)


def _order(one: Found) -> tuple[Any, ...]:
    key = GroupKey.of(one.cell)
    return key.dataset, key.arch, one.innocent, key.order(), one.method, one.cell.seed


def inversion_sections(records: Sequence[Record]) -> list[Section]:
    """A table for each data set and architecture: a line an attack and inversion."""
    found = found_inversions(records)
    methods = label_methods(one.method for one in found)
    attacks = label_methods(GroupKey.of(one.cell).attack for one in found)
    return [
        Section(
            title=printable(f"{dataset} · {arch} · what the inversions found"),
            notes=[_NOTE],
            header=_HEADER,
            lines=[
                _line(list(same), attacks, methods)
                for _, same in groupby(part, key=lambda one: (GroupKey.of(one.cell), one.method))
            ],
        )
        for (dataset, arch), part in groupby(found, key=lambda x: (x.cell.dataset, x.cell.arch))
    ]


def _line(seeds: list[Found], attacks: dict[Method, str], methods: dict[Method, str]) -> list[str]:
    key = GroupKey.of(seeds[0].cell)
    true = "none: never backdoored" if seeds[0].innocent else _true(seeds)
    claims = [one.claim for one in seeds]
    return [
        MISSING if seeds[0].innocent else attacks[key.attack],
        methods[seeds[0].method],
        named(claims),
        true,
        reached(claims),
        moved(claims),
        standing_out(claims),
    ]


def _true(seeds: list[Found]) -> str:
    return class_text(seeds[0].cell.target, target_name(one.cell for one in seeds))


def inversion_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object an inversion, rates as fractions."""
    return [
        {
            "dataset": one.cell.dataset,
            "arch": one.cell.arch,
            "attack": one.cell.attack,
            "attack_params": one.cell.attack_params,
            "poison_rate": one.cell.poison_rate,
            "true_target": one.cell.target,
            "true_target_name": one.cell.target_name,
            "seed": one.cell.seed,
            "inversion": one.method.name,
            "inversion_params": one.method.parameters,
            **asdict(one.claim),
        }
        for one in found_inversions(records)
    ]
