"""The records of a store with what is grouped from them, each computed once and when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import overload

from remission.records import Record
from remission.report.groups.group import Group
from remission.report.groups.grouping import group_records
from remission.report.groups.keys import NOBODY


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
        return group_records(self._records)

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
