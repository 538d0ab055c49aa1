"""The rows and columns of a table, and the comparison of a row with the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from remission.records import Cell
from remission.report.groups.estimates import Estimate, Measure, estimate
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.labels import MethodKey
from remission.report.groups.thresholds import MARGIN, at_most


@dataclass(frozen=True, kw_only=True)
class Column:
    """One reactivation at one budget.

    Args:
        reactivation: the method.
        label: its name among the others of the store.
        budget: number of poisoned images; None: the method takes none.
        perturbs: whether it changes the images and leaves the weights as they are.
        in_place: whether its perturbation replaces the trigger, so that both ASRs are of clean
            images.
    """

    reactivation: MethodKey
    label: str
    budget: int | None
    perturbs: bool = False
    in_place: bool = False

    @property
    def title(self) -> str:
        """For example ``retuning n=5``."""
        return self.label if self.budget is None else f"{self.label} n={self.budget}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One purifier with its parameters.

    Args:
        purifier: the method.
        label: its name among the others of the store.
        cells: the measured models after each column; None: before any reactivation.
        unit_of_cost: whether it is the plain fine-tuning in whose epochs costs are counted.
    """

    purifier: MethodKey
    label: str
    cells: Mapping[Column | None, Sequence[Cell]] = field(repr=False)
    unit_of_cost: bool = False

    def at(self, column: Column | None) -> Sequence[Cell]:
        """Returns the cells after ``column``; None: before any reactivation."""
        return self.cells.get(column, ())

    def number(self, measure: Measure, column: Column | None = None) -> Estimate:
        """Returns the mean over seeds after ``column``, or before any reactivation."""
        return estimate(self.at(column), measure)

    @property
    def reference(self) -> bool:
        """Whether this is the victim or the control, not a purifier."""
        return self.purifier.name in (VICTIM, CONTROL)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A row and the control, both after the same reactivation with the same budget.

    Args:
        row: the victim, the control or a purifier.
        column: the reactivation; None: both models as they are.
        ours: the cells of the row.
        control: the cells that they are compared with.
        gap: how far the ASR of the row lies above that of the control.
        broken: whether the reactivation broke the model or the control, so that the gap says
            nothing.
    """

    row: Row
    column: Column | None
    ours: Sequence[Cell]
    control: Sequence[Cell]
    gap: Estimate
    broken: bool

    @property
    def judged(self) -> bool:
        """Whether the gap is known and can be judged."""
        return self.gap.known and not self.broken

    @property
    def beyond_control(self) -> bool:
        """Whether the gap is larger than ``MARGIN`` and its interval excludes 0."""
        certain = self.gap.interval is None or self.gap.interval[0] > 0
        return self.gap.mean is not None and not at_most(self.gap.mean, MARGIN) and certain

    @property
    def highest(self) -> float:
        """The largest gap that the interval allows; the gap itself where it has no interval."""
        if self.gap.interval:
            return self.gap.interval[1]
        return self.gap.mean or 0.0
