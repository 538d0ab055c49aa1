"""What to call groups, and which of them stand in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from remission.records import Record
from remission.report.groups.group import Group, summarise
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import label_methods
from remission.report.groups.targets import class_text


def titles(groups: Sequence[Group]) -> dict[GroupKey, str]:
    """The attack of each group; where two have one name, with what else tells them apart."""
    labels = label_methods(group.key.attack for group in groups)
    count = Counter(labels[group.key.attack] for group in groups)

    def title(group: Group) -> str:
        key = group.key
        label = labels[key.attack]
        if count[label] == 1:
            return label
        target = class_text(key.target, group.target_name)
        return f"{label}, {100 * key.poison_rate:g} %, target {target}"

    return {group.key: title(group) for group in groups}


def overviews(records: Sequence[Record]) -> list[list[Group]]:
    """The groups that hold purified models, those of one data set and model together."""
    groups = [g for g in summarise(records) if any(not row.reference for row in g.rows)]
    return [list(same) for _, same in groupby(groups, key=lambda g: (g.key.dataset, g.key.arch))]
