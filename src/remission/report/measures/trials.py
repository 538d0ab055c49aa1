"""The choice of a setting for each purifier, by validation images.

A cell is one attack with one seed. With A the clean accuracy and O the ASR, both on the images of
the validation and before any reactivation, a trial *meets the criterion* in a cell if

    O(purified) - O(control) <= MARGIN  and  A(victim) - A(purified) <= MOST_LOST.

Chosen is the trial that meets it in the most cells, of which there must be one, and among those the
gentlest: the one that costs the least clean accuracy on average. Neither test images nor any ASR
after a reactivation takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from remission.intervals import mean_of
from remission.report.groups.estimates import Measure, by_seed
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Row
from remission.report.groups.thresholds import MARGIN, at_most
from remission.report.measures.families import families

MOST_LOST = 0.03
"""The largest loss of clean accuracy that the criterion allows."""


@dataclass(frozen=True)
class ValidationCell:
    """One attack with one seed: a purified model on the validation images.

    Args:
        gap: O-ASR above the control's.
        loss: clean accuracy below the victim's.
    """

    gap: float
    loss: float

    @property
    def meets(self) -> bool:
        """Whether the criterion is met."""
        return at_most(self.gap, MARGIN) and at_most(self.loss, MOST_LOST)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting of a purifier.

    Args:
        purifier: the method with its parameters.
        label: its name among the rows of the store.
        family: the name of the purifier without the setting.
        cells: those that were measured.
        total: the number of cells whose victim and control were measured, and whose victim has a
            working backdoor; where a purified model failed, its cell is among these alone.
        chosen: whether it is the choice for its family.
    """

    purifier: MethodKey
    label: str
    family: str
    cells: tuple[ValidationCell, ...]
    total: int
    chosen: bool = False

    @property
    def met(self) -> int:
        """The number of cells in which the criterion is met."""
        return sum(cell.meets for cell in self.cells)

    @property
    def gap(self) -> float:
        """The mean O-ASR above the control's; infinite without a cell."""
        return mean_of([cell.gap for cell in self.cells]) if self.cells else float("inf")

    @property
    def loss(self) -> float:
        """The mean loss of clean accuracy; infinite without a cell."""
        return mean_of([cell.loss for cell in self.cells]) if self.cells else float("inf")


def trials(groups: Sequence[Group]) -> list[Trial]:
    """Returns the trials of every purifier in these groups, the chosen ones marked.

    Args:
        groups: groups of one data set, model and setting; those without validation images say
            nothing.
    """
    total = sum(len(_usable(group)) for group in groups)
    found: list[Trial] = []
    for family in families(groups):
        tried = [
            Trial(
                purifier=purifier,
                label=rows[0][1].label,
                family=family.label,
                cells=tuple(cell for group, row in rows for cell in validation_cells(group, row)),
                total=total,
            )
            for purifier, rows in family.settings.items()
        ]
        tried = [trial for trial in tried if trial.cells]
        best = min(tried, key=lambda trial: (-trial.met, trial.loss, trial.label), default=None)
        found += [replace(trial, chosen=trial is best and trial.met > 0) for trial in tried]
    return found


def _usable(group: Group) -> dict[int, tuple[float, float]]:
    """Returns seed -> (the victim's clean accuracy, the control's ASR), where both are usable."""
    references = [row for row in group.rows if row.reference]
    collapsed = frozenset[int]().union(*(group.collapsed_seeds(row) for row in references))
    victim, control = group.row(VICTIM), group.row(CONTROL)
    if victim is None or control is None:
        return {}
    accuracy = by_seed(victim.at(None), "validation_clean_acc")
    asr = by_seed(control.at(None), "validation_asr")
    seeds = (accuracy.keys() & asr.keys()) - collapsed - group.failed_attacks
    return {seed: (accuracy[seed], asr[seed]) for seed in sorted(seeds)}


def validation_cells(group: Group, row: Row) -> list[ValidationCell]:
    """Returns the models of a row on validation images, one per usable seed."""

    def rate(measure: Measure) -> dict[int, float]:
        return by_seed(row.at(None), measure)

    accuracy, asr = rate("validation_clean_acc"), rate("validation_asr")
    return [
        ValidationCell(gap=asr[seed] - control, loss=victim - accuracy[seed])
        for seed, (victim, control) in _usable(group).items()
        if seed in accuracy and seed in asr
    ]
