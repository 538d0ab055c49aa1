"""The records of a store with what is grouped from them, each computed once and when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from remission.records import Record
from remission.report.groups.group import Group, innocents, summarise


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
        return summarise(self.records)

    @cached_property
    def innocents(self) -> list[Group]:
        """The models without a backdoor that purifiers were tried on, one group per data set."""
        return innocents(self.records)

    @cached_property
    def overviews(self) -> list[list[Group]]:
        """The groups that hold purified models; those of one data set and model together."""
        groups = [g for g in self.groups if any(not row.reference for row in g.rows)]
        return [
            list(members)
            for _, members in groupby(groups, key=lambda group: (group.key.dataset, group.key.arch))
        ]
