"""Each purifier at the choices of its setting: published, chosen beforehand, and the best.

* *published*: every parameter is the method's default, which is its paper's where the paper states
  it; the inversion, the trigger and the augmentation may differ. Of a method of this project the
  same is called *default*: nobody chose it who did not know the results.
* *chosen*: the setting that :mod:`remission.report.measures.trials` chooses on other victims.
* *best*: under each attack the setting with the lowest O-ASR among those that lose at most
  :data:`~remission.report.measures.trials.MOST_LOST` of clean accuracy, both as means over the
  seeds on validation images; where none loses so little, the one that loses the least. No
  defender can choose so, since the O-ASR takes the attacker's trigger.

All are read from the same cells, so that they say how much of a purifier's result is its
setting.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from remission.catalogue import methods_by_kind
from remission.intervals import mean_of, student_half_width
from remission.report.groups.estimates import Estimate, mean_known
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import MethodKey, trigger_of
from remission.report.groups.rows import Column, Row
from remission.report.groups.thresholds import at_most
from remission.report.groups.titles import titles
from remission.report.measures.families import OF_THE_KIND, PurifierFamily, families
from remission.report.measures.purified import PurifiedCells, purified, together
from remission.report.measures.trials import MOST_LOST, validation_cells

ChoiceName = Literal["published", "default", "chosen", "best"]

_OF_THE_SPEC = (*OF_THE_KIND, "augment")
"""Parameters that a spec decides, and no paper."""


@dataclass(frozen=True, kw_only=True)
class SettingChoice:
    """A purifier at one choice of its setting.

    Args:
        family: its name without a setting.
        purifier: the method without its settings.
        name: how the setting was chosen.
        settings: title of an attack -> the setting there, which differs only for the best.
        tried: the number of settings that the choice was made among.
        rows: the groups, each with the row of the setting there.
    """

    family: str
    purifier: MethodKey
    name: ChoiceName
    settings: Mapping[str, MethodKey]
    tried: int
    rows: Sequence[tuple[Group, Row]]

    @property
    def knows_trigger(self) -> bool:
        """Whether the purifier works with the attacker's own trigger."""
        return trigger_of(self.purifier.parameters) == "true"

    @property
    def labels(self) -> list[str]:
        """The names of its rows, each once."""
        return list(dict.fromkeys(row.label for _, row in self.rows))

    @cached_property
    def cells(self) -> PurifiedCells:
        """The purified cells, with their largest gap over all budgets."""
        return together(purified(group, row) for group, row in self.rows)

    def cells_at(self, column: Column) -> PurifiedCells:
        """Returns the purified cells with their gap after one reactivation."""
        return together(purified(group, row, column) for group, row in self.rows)

    @property
    def columns(self) -> list[Column]:
        """The reactivations, each budget once, in the order of the tables."""
        return list(dict.fromkeys(column for group, _ in self.rows for column in group.columns))

    @property
    def loss(self) -> Estimate:
        """Clean accuracy below the victim's: mean over attacks of the mean over seeds."""
        losses = [list(group.losses(row).values()) for group, row in self.rows]
        values = [mean_of(by_seed) for by_seed in losses if by_seed]
        if not values:
            return Estimate()
        return Estimate(
            mean=mean_of(values), half_width=student_half_width(values), n=sum(map(len, losses))
        )

    @property
    def largest_o_asr(self) -> float | None:
        """The highest O-ASR among the attacks, each a mean over seeds."""
        rates = (row.number("asr").mean for _, row in self.rows)
        return max((rate for rate in rates if rate is not None), default=None)

    @property
    def cpu_seconds(self) -> float | None:
        """Seconds of processor time per model, inversion included: mean over the attacks."""
        return mean_known(row.number("cpu_seconds").mean for _, row in self.rows)


def choices(groups: Sequence[Group], chosen: Collection[MethodKey] = ()) -> list[SettingChoice]:
    """Returns the choices of each purifier, in the order of the purifiers and of their names.

    Args:
        groups: groups of one data set, model and setting.
        chosen: the settings that were chosen on other victims.
    """
    names, found = titles(groups), list[SettingChoice]()
    for family in families(groups):
        picked: dict[ChoiceName, list[tuple[Group, Row]]] = {
            "published": _rows(family, [s for s in family.settings if is_published(s)]),
            "default": _rows(family, [s for s in family.settings if is_own_default(s)]),
            "chosen": _rows(family, [s for s in family.settings if s in chosen]),
            "best": _best(family) if len(family.settings) > 1 else [],
        }
        found += [
            SettingChoice(
                family=family.label,
                purifier=family.purifier,
                name=name,
                settings={names[group.key]: row.purifier for group, row in rows},
                tried=len(family.settings),
                rows=rows,
            )
            for name, rows in picked.items()
            if rows
        ]
    return found


def is_published(purifier: MethodKey) -> bool:
    """Returns whether every parameter that a paper decides has the method's default.

    A method that is not of the package has no published setting, nor has one of this project.
    """
    return at_defaults("purifiers", purifier, without=_OF_THE_SPEC) and not _is_own(purifier)


def is_own_default(purifier: MethodKey) -> bool:
    """Returns whether a method of this project has its default in every such parameter."""
    return at_defaults("purifiers", purifier, without=_OF_THE_SPEC) and _is_own(purifier)


def at_defaults(kind: str, method: MethodKey, *, without: Collection[str] = ()) -> bool:
    """Returns whether every parameter of a method has its default.

    Args:
        kind: ``purifiers``, ``reactivations`` or another list of the catalogue.
        method: the method; one that is not of the package has no defaults.
        without: parameters that may have any value.
    """
    entry = _entry(kind, method)
    if entry is None:
        return False
    defaults = {p["name"]: p.get("default") for p in entry["parameters"]}
    parameters = method.parameters
    decided = defaults.keys() - set(without)
    return all(parameters.get(key, defaults[key]) == defaults[key] for key in decided)


def _is_own(purifier: MethodKey) -> bool:
    entry = _entry("purifiers", purifier)
    return entry is not None and not entry["published"]


def _entry(kind: str, method: MethodKey) -> dict[str, Any] | None:
    """Returns the entry of the catalogue; None for a method that is not of the package."""
    return next((each for each in methods_by_kind()[kind] if each["name"] == method.name), None)


def _rows(family: PurifierFamily, settings: Sequence[MethodKey]) -> list[tuple[Group, Row]]:
    """Returns the rows of the first of some settings; empty without one."""
    return list(family.settings[settings[0]]) if settings else []


def _best(family: PurifierFamily) -> list[tuple[Group, Row]]:
    """Returns the best row in each group whose models were measured on a validation."""
    by_group: dict[GroupKey, list[tuple[Group, Row]]] = {}
    for rows in family.settings.values():
        for group, row in rows:
            by_group.setdefault(group.key, []).append((group, row))
    best: list[tuple[Group, Row]] = []
    for pairs in by_group.values():
        ranked = [
            (_rank(mean_of([c.gap for c in cells]), mean_of([c.loss for c in cells])), k)
            for k, (group, row) in enumerate(pairs)
            if (cells := validation_cells(group, row))
        ]
        if ranked:
            best.append(pairs[min(ranked)[1]])
    return best


def _rank(gap: float, loss: float) -> tuple[bool, float, float]:
    """Returns a key by which the best setting is the least.

    Args:
        gap: O-ASR above the control's, which orders settings as the O-ASR does.
        loss: clean accuracy below the victim's.
    """
    within = at_most(loss, MOST_LOST)
    return (False, gap, loss) if within else (True, loss, gap)
