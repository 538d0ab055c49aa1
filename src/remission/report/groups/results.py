"""The records of a store with what is grouped from them, each computed once and when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from remission.records import Record
from remission.report.groups.group import Group
from remission.report.groups.grouping import group_records
from remission.report.groups.keys import NOBODY


@dataclass(frozen=True, eq=False)
class Results:
    """What views, figures and the page are made from.

    Args:
        records: of one store, in any order.
    """

    records: Sequence[Record]

    @cached_property
    def groups(self) -> list[Group]:
        """One group per data set, architecture and attack, in a stable order."""
        return [group for group in self._every if group.key.attack.name != NOBODY]

    @cached_property
    def innocents(self) -> list[Group]:
        """The models without a backdoor that purifiers were tried on, one group per data set."""
        return [group for group in self._every if group.key.attack.name == NOBODY]

    @cached_property
    def overviews(self) -> list[list[Group]]:
        """The groups that hold purified models; those of one data set and model together."""
        groups = [group for group in self.groups if group.purified]
        return [
            list(members)
            for _, members in groupby(groups, key=lambda group: (group.key.dataset, group.key.arch))
        ]

    @cached_property
    def _every(self) -> list[Group]:
        return group_records(self.records)


def summarise(records: Sequence[Record]) -> list[Group]:
    """Returns the groups of backdoored models; to use more than these, make ``Results``."""
    return Results(records).groups
