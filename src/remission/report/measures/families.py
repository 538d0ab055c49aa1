"""Rows of one purifier with different settings, which belong together."""

from __future__ import annotations

from collections.abc import Iterable

from remission.report.groups.group import Group
from remission.report.groups.labels import MethodKey, label_methods
from remission.report.groups.rows import Row

OF_THE_KIND = ("inversion", "trigger")
"""Parameters that make another purifier of one, and no other setting of it."""


def family(purifier: MethodKey) -> MethodKey:
    """Returns a purifier without its settings: its name, its inversion and its trigger.

    Of a purifier that it runs inside, its ``base``, the method and the trigger remain as well.
    """
    parameters = purifier.parameters
    rest = {key: parameters[key] for key in OF_THE_KIND if key in parameters}
    if isinstance(base := parameters.get("base"), dict):
        rest["base"] = {key: base[key] for key in ("method", *OF_THE_KIND) if key in base}
    return MethodKey.of(purifier.name, rest)


def families(groups: Iterable[Group]) -> dict[MethodKey, str]:
    """Returns family -> its label, for all purifiers of these groups, in their order."""
    rows = [row for group in groups for row in group.purified]
    labels = label_methods(family(row.purifier) for row in rows)
    return {key: labels[key] for key in dict.fromkeys(family(row.purifier) for row in rows)}


def settings_of(groups: Iterable[Group], of: MethodKey) -> dict[MethodKey, list[tuple[Group, Row]]]:
    """Returns each setting of a family -> the groups that have it, with its row there."""
    settings: dict[MethodKey, list[tuple[Group, Row]]] = {}
    for group in groups:
        for row in group.purified:
            if family(row.purifier) == of:
                settings.setdefault(row.purifier, []).append((group, row))
    return settings
