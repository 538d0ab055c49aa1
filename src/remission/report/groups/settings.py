"""Labels for groups that differ only in the data or the recipe behind them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import flat, printable

_Subject = TypeVar("_Subject", bound=Hashable)

_DIGITS = 8
"""The number of hexadecimal digits of the data's digest in a label."""


def setting_labels(keys: Iterable[GroupKey]) -> dict[GroupKey, str]:
    """Returns the difference of each group to similar ones: ``epochs = 6``.

    It is empty for a group whose data set, architecture, attack, poison rate and target no other
    group has.
    """
    keys = list(keys)
    labels = label_settings((key.backdoor, key.setting) for key in keys)
    return {key: labels[key.backdoor, key.setting] for key in keys}


def label_settings(pairs: Iterable[tuple[_Subject, str]]) -> dict[tuple[_Subject, str], str]:
    """Returns the difference of each setting to the others of its subject; empty without others.

    Args:
        pairs: what the setting is of, and a setting as :attr:`GroupKey.setting` has it.
    """
    by_subject: dict[_Subject, set[str]] = {}
    for subject, setting in pairs:
        by_subject.setdefault(subject, set()).add(setting)
    return {
        (subject, setting): label
        for subject, settings in by_subject.items()
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
