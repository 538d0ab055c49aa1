"""Labels for groups that differ only in the data or the recipe behind them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import flat, printable

_Place = TypeVar("_Place", bound=Hashable)

_DIGITS = 8
"""The number of hexadecimal digits of the data's digest in a label."""


def setting_labels(keys: Iterable[GroupKey]) -> dict[GroupKey, str]:
    """Returns the difference of each group to similar ones: ``epochs = 6``.

    It is empty for a group whose data set, architecture, attack, poison rate and target no other
    group has.
    """
    keys = list(keys)
    labels = label_settings((key.place, key.setting) for key in keys)
    return {key: labels[key.place, key.setting] for key in keys}


def label_settings(pairs: Iterable[tuple[_Place, str]]) -> dict[tuple[_Place, str], str]:
    """Returns the difference of each setting to the others in its place; empty without others.

    Args:
        pairs: a place, and a setting as :attr:`GroupKey.setting` has it.
    """
    places: dict[_Place, set[str]] = {}
    for place, setting in pairs:
        places.setdefault(place, set()).add(setting)
    return {
        (place, setting): label
        for place, settings in places.items()
        for setting, label in _differences(settings).items()
    }


def _differences(settings: Iterable[str]) -> Mapping[str, str]:
    values = {setting: flat(json.loads(setting)) for setting in sorted(settings)}
    keys = sorted({key for entries in values.values() for key in entries})
    differing = [k for k in keys if len({entries.get(k) for entries in values.values()}) > 1]
    return {
        setting: ", ".join(_entry(key, entries.get(key)) for key in differing)
        for setting, entries in values.items()
    }


def _entry(key: str, value: str | None) -> str:
    """Returns one difference: ``epochs = 6``, ``split.test = 60`` or ``data a06d3266``."""
    if key == "data":
        return printable(f"data {(value or 'unknown')[:_DIGITS]}")
    text = "default" if value in (None, "null") else value
    return printable(f"{key.removeprefix('recipe.')} = {text}")
