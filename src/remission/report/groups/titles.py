"""What to call groups that stand in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import label_methods


def titles(groups: Sequence[Group]) -> dict[GroupKey, str]:
    """The attack of each group; where two have one name, with what else tells them apart."""
    labels = label_methods(group.key.attack for group in groups)
    count = Counter(labels[group.key.attack] for group in groups)

    def title(key: GroupKey) -> str:
        label = labels[key.attack]
        if count[label] == 1:
            return label
        return f"{label}, {100 * key.poison_rate:g} %, target {key.target}"

    return {group.key: title(group.key) for group in groups}
