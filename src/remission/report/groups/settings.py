"""What tells groups apart that differ in nothing but the data or the recipe behind them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import flat, printable

_Place = TypeVar("_Place", bound=Hashable)

_DIGITS = 8
"""Hexadecimal digits of the data's digest that people see."""


def setting_labels(keys: Iterable[GroupKey]) -> dict[GroupKey, str]:
    """Returns what tells each group apart from those that read alike: ``epochs = 6``.

    Empty for a group whose data set, architecture, attack, poison rate and target no other has.
    """
    keys = list(keys)
    labels = label_settings((key.place, key.setting) for key in keys)
    return {key: labels[key.place, key.setting] for key in keys}


def label_settings(pairs: Iterable[tuple[_Place, str]]) -> dict[tuple[_Place, str], str]:
    """Returns what tells each setting apart from the others in its place; empty: there are none.

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
    """``epochs = 6`` of the victim's recipe, ``split.test = 60``, ``data a06d3266``."""
    if key == "data":
        return printable(f"data {(value or 'unknown')[:_DIGITS]}")
    shown = "default" if value in (None, "null") else value
    return printable(f"{key.removeprefix('recipe.')} = {shown}")
