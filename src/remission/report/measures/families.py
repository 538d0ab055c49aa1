"""Rows of one purifier with different settings, which belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class PurifierFamily:
    """A purifier with all of its settings.

    Args:
        purifier: the method without its settings.
        label: its name.
        settings: each setting -> the groups that have it, with its row there.
    """

    purifier: MethodKey
    label: str
    settings: Mapping[MethodKey, Sequence[tuple[Group, Row]]]


def families(groups: Iterable[Group]) -> list[PurifierFamily]:
    """Returns the purifiers of these groups, in their order."""
    found: dict[MethodKey, dict[MethodKey, list[tuple[Group, Row]]]] = {}
    for group in groups:
        for row in group.purified:
            settings = found.setdefault(family(row.purifier), {})
            settings.setdefault(row.purifier, []).append((group, row))
    labels = label_methods(found)
    return [
        PurifierFamily(purifier=purifier, label=labels[purifier], settings=settings)
        for purifier, settings in found.items()
    ]
