"""The keys by which measurements are grouped and sorted."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from remission.records import ATTACKED, Cell, Json, PathCurve, Record, Subject
from remission.records.labels import purifier_key
from remission.records.settings import setting_of
from remission.report.groups.labels import MethodKey, canonical

VICTIM, CONTROL = "none", "control"
"""The ``purifier`` in cells of models that nobody purified: of the victim, of the control."""
BEFORE = "none"
"""The ``reactivation`` in cells of models before any reactivation."""
NOBODY = "none"
"""The ``attack`` in cells of models that were never backdoored."""
BY_SEED = "by seed"
"""The ``target`` of a group in which it differs from seed to seed."""
SHOWN_APART = ("poison_rate", "target", "budget", "budgets", "seed", "seeds")
"""Parameters that tables show in columns of their own, so that no key holds them."""


@dataclass(frozen=True, kw_only=True)
class GroupKey:
    """The attack, data and model that the rows of one table have in common.

    ``setting`` is canonical JSON of their data, split, recipe and precision, see
    :mod:`remission.records.settings`.
    """

    dataset: str
    arch: str
    attack: MethodKey
    poison_rate: float
    target: int | str | None
    setting: str

    @classmethod
    def of(cls, item: Subject, record: Record) -> GroupKey:
        """Returns the group that a measured model or a path belongs to.

        Args:
            item: the cell or a path of ``record``.
            record: has the settings that a cell does not hold.
        """
        return cls.of_columns(item.subject(*ATTACKED), record)

    @classmethod
    def of_columns(cls, columns: Json, record: Record) -> GroupKey:
        """Returns the group of a row of a table, from its columns ``ATTACKED``."""
        params = columns["attack_params"]
        return cls(
            dataset=columns["dataset"],
            arch=columns["arch"],
            attack=MethodKey.of(columns["attack"], params, without=SHOWN_APART),
            poison_rate=columns["poison_rate"],
            target=columns["target"],
            setting=canonical(setting_of(record)),
        )

    def subject(self) -> Json:
        """Returns the columns that say which backdoor the group is about."""
        return {
            "dataset": self.dataset,
            "arch": self.arch,
            "attack": self.attack.name,
            "attack_params": self.attack.parameters,
            "poison_rate": self.poison_rate,
            "target": self.target,
            "setting": json.loads(self.setting),
        }

    @property
    def backdoor(self) -> tuple[str, str, MethodKey, float, int | str | None]:
        """All but the setting."""
        return self.dataset, self.arch, self.attack, self.poison_rate, self.target

    def order(self) -> tuple[str, str, MethodKey, float, str, str]:
        """Returns a key to sort by; a target that is no number comes after the numbers."""
        target = f"{self.target!s:>12}"
        return self.dataset, self.arch, self.attack, self.poison_rate, target, self.setting


def merged_targets(seeds: Mapping[GroupKey, Collection[int]]) -> dict[GroupKey, GroupKey]:
    """Returns key -> shared key, for groups that differ in their target alone and in no seed twice.

    A spec whose attack has one target per seed makes such groups; each has some of the seeds of
    what is one attack to its reader.

    Args:
        seeds: each key -> the seeds of its measurements.
    """
    alike: dict[GroupKey, list[GroupKey]] = {}
    for key in seeds:
        if isinstance(key.target, int):
            alike.setdefault(replace(key, target=BY_SEED), []).append(key)
    return {
        key: shared
        for shared, keys in alike.items()
        if len(keys) > 1
        and sum(len(set(seeds[key])) for key in keys) == len(set().union(*(seeds[k] for k in keys)))
        for key in keys
    }


def attack_of(item: Subject) -> MethodKey:
    """Returns the attack as a key, without parameters that have columns of their own."""
    return MethodKey.of(item.attack, item.attack_params, without=SHOWN_APART)


def purifier_of(item: Subject) -> MethodKey:
    """Returns the purifier as a key, with the inversion that it used."""
    return purifier_key(item.purifier, item.purifier_params)


def reactivation_of(cell: Cell) -> MethodKey:
    """Returns the reactivation as a key, without its budgets, which have columns of their own."""
    return MethodKey.of(cell.reactivation, cell.reactivation_params, without=SHOWN_APART)


def rank(method: MethodKey, labels: Mapping[MethodKey, str]) -> tuple[int, str, str]:
    """Returns a key to sort rows by: victim, control, then the purifiers by name and label."""
    first = {VICTIM: 0, CONTROL: 1}.get(method.name, 2)
    return first, method.name, labels[method]


def row_order(item: Cell | PathCurve) -> tuple[object, ...]:
    """Returns a key that sorts single measurements like the rows and columns of the summary."""
    attack = MethodKey.of(item.attack, item.attack_params)
    shared = (item.dataset, item.arch, attack)
    first = rank(purifier_of(item), {purifier_of(item): item.purifier})
    last = (purifier_of(item), item.seed, item.id)
    if isinstance(item, PathCurve):
        return *shared, first, item.batchnorm, *last
    budget = -1 if item.budget is None else item.budget
    before = item.reactivation != BEFORE
    return *shared, item.poison_rate, first, before, reactivation_of(item), budget, *last
