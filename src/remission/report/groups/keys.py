"""What measurements are grouped and sorted by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remission.records import Cell, PathCurve
from remission.records.labels import purifier_key
from remission.report.groups.labels import Method

VICTIM, CONTROL, BEFORE, NOBODY = "none", "control", "none", "none"
SHOWN_APART = ("poison_rate", "target", "budget", "budgets", "seed", "seeds")


@dataclass(frozen=True, kw_only=True)
class GroupKey:
    """What the rows of one table have in common."""

    dataset: str
    arch: str
    attack: Method
    poison_rate: float
    target: int | str | None

    @classmethod
    def of(cls, cell: Cell | PathCurve) -> GroupKey:
        """The group that a measured model or a path belongs to."""
        return cls(
            dataset=cell.dataset,
            arch=cell.arch,
            attack=Method.of(cell.attack, cell.attack_params, without=SHOWN_APART),
            poison_rate=cell.poison_rate,
            target=cell.target,
        )

    def order(self) -> tuple[str, str, Method, float, str]:
        """A key to sort by; a target that is no number comes after those that are."""
        target = f"{self.target!s:>12}"
        return self.dataset, self.arch, self.attack, self.poison_rate, target


def purifier_of(item: Cell | PathCurve) -> Method:
    """The purifier as a key; cells say which inversion it used where it is not the paper's."""
    return purifier_key(item.purifier, item.purifier_params)


def reactivation_of(cell: Cell) -> Method:
    """The reactivation as a key, less its budgets, which are a column of their own."""
    return Method.of(cell.reactivation, cell.reactivation_params, without=SHOWN_APART)


def rank(method: Method, labels: Mapping[Method, str]) -> tuple[int, str, str]:
    """A key to sort rows by: victim, control, then the purifiers by name and label."""
    first = {VICTIM: 0, CONTROL: 1}.get(method.name, 2)
    return first, method.name, labels[method]


def place(item: Cell | PathCurve) -> tuple[object, ...]:
    """A key to sort single measurements by, in the order of the summary's rows and columns."""
    attack = Method.of(item.attack, item.attack_params)
    shared = (item.dataset, item.arch, attack)
    first = rank(purifier_of(item), {purifier_of(item): item.purifier})
    last = (purifier_of(item), item.seed, item.id)
    if isinstance(item, PathCurve):
        return *shared, first, item.batchnorm, *last
    budget = -1 if item.budget is None else item.budget
    before = item.reactivation != BEFORE
    return *shared, item.poison_rate, first, before, reactivation_of(item), budget, *last
