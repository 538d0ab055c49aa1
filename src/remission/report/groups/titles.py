"""Titles of groups within one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from remission.names import class_text
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import label_methods, printable
from remission.report.groups.settings import setting_labels


def titles(groups: Sequence[Group]) -> dict[GroupKey, str]:
    """Returns the attack of each group, with its difference to groups of the same attack."""
    labels = label_methods(group.key.attack for group in groups)
    settings = setting_labels(group.key for group in groups)
    backdoors = {group.key.backdoor for group in groups}
    count = Counter(labels[attack] for _, _, attack, _, _ in backdoors)

    def title(group: Group) -> str:
        key = group.key
        parts = [labels[key.attack]]
        if count[parts[0]] > 1:
            target = class_text(key.target, group.target_name)
            parts += [f"{100 * key.poison_rate:g} %", f"target {target}"]
        return ", ".join([*parts, settings[key]] if settings[key] else parts)

    return {group.key: title(group) for group in groups}


def comparison_title(dataset: str, arch: str, what: str, setting: str) -> str:
    """Returns the title of a table over the attacks on one data set and model.

    Args:
        dataset: name of the data set.
        arch: name of the model.
        what: the content of the table.
        setting: the difference to others of the same data set and model; may be empty.
    """
    return printable(" · ".join(filter(None, [dataset, arch, what, setting])))
