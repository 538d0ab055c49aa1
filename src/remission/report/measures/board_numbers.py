"""The numbers of a leaderboard: one purifier with one setting under one attack.

A cell is one attack with one seed, where the victim's backdoor works and neither the victim nor the
control collapsed. A cell is *lost* where the purifier failed, returned the victim unchanged, or
broke or collapsed the model. There the victim stays as it is: its ASR counts as 1 after every
retuning, since otherwise a purifier would gain by breaking the models that it cannot purify.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from remission.intervals import Interval, around, mean_of, student_half_width
from remission.report.groups.estimates import Estimate, by_seed, gap, gap_by_seed
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column, Row
from remission.report.measures.choices import at_defaults
from remission.report.measures.frontier import CellKey, unpurified_gaps
from remission.report.measures.scores import score, seed_gaps
from remission.report.measures.standings import worst
from remission.report.measures.worst_gap import (
    BOUNDS,
    Ensembles,
    WorstRow,
    control_rates,
    worst_rows,
)

GAP, O_ASR, CHANGE, SECONDS, EPOCHS = "gap", "o_asr", "change", "seconds", "epochs"
"""Names of the numbers that do not depend on a budget or a bound."""
_ALL_SEEDS = -1
"""Stands for the seed in the cell of a number that is a mean over the seeds already."""
_SPLIT = ("budgets", "poisons")
"""Parameters of the retuning that the attack decides, or that have columns of their own."""


def at_budget(budget: int) -> str:
    """Returns the name of the gap after the retuning with one budget."""
    return f"gap n={budget}"


def at_bound(bound: float) -> str:
    """Returns the name of the worst gap within a bound."""
    return f"worst {bound:g}"


@dataclass(frozen=True, kw_only=True)
class BoardNumber:
    """A number of the board: the mean over its cells, or their largest.

    Args:
        cells: cell -> its value.
        records: the identities of the records behind it.
        interval: of a single cell, from the number of test images; None if unknown.
        rate: whether the values are rates or differences of rates.
    """

    cells: Mapping[CellKey, float] = field(default_factory=dict)
    records: tuple[str, ...] = ()
    interval: Interval | None = None
    rate: bool = True

    @property
    def estimate(self) -> Estimate:
        """The mean over the cells, with Student's t over them."""
        values = list(self.cells.values())
        if not values:
            return Estimate()
        mean, half = mean_of(values), student_half_width(values)
        ends = self.interval
        if half is not None:
            ends = around(mean, half) if self.rate else (mean - half, mean + half)
        return Estimate(mean=mean, half_width=half, n=len(values), interval=ends)

    @property
    def largest(self) -> float | None:
        """The largest value; None without a cell."""
        return max(self.cells.values(), default=None)


Numbers = Mapping[str, BoardNumber]
"""Name -> number."""


def joined(parts: Sequence[Numbers]) -> dict[str, BoardNumber]:
    """Returns the numbers of one purifier under several attacks."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: _joined([part[name] for part in parts if name in part]) for name in names}


def _joined(numbers: Sequence[BoardNumber]) -> BoardNumber:
    return BoardNumber(
        cells={cell: value for number in numbers for cell, value in number.cells.items()},
        records=tuple(dict.fromkeys(name for number in numbers for name in number.records)),
        interval=numbers[0].interval if len(numbers) == 1 else None,
        rate=numbers[0].rate,
    )


def standard(reactivation: MethodKey) -> bool:
    """Returns whether a reactivation is the retuning of the paper, with its own parameters."""
    return reactivation.name == "retuning" and at_defaults(
        "reactivations", reactivation, without=_SPLIT
    )


def standard_columns(group: Group, row: Row) -> list[Column]:
    """Returns the budgets above 0 of the paper's retuning, the smallest first.

    Of several spellings of its parameters it is the one that the row has the most budgets of.
    """
    by_label: dict[str, list[Column]] = {}
    for column in group.columns:
        if column.budget and standard(column.reactivation):
            by_label.setdefault(column.label, []).append(column)
    columns = max(
        by_label.values(), key=lambda some: sum(bool(row.at(one)) for one in some), default=[]
    )
    return sorted(columns, key=lambda column: column.budget or 0)


class BoardNumbers:
    """The numbers of a purifier under one attack.

    Args:
        group: the attack.
        row: the purifier.
        attack: the title of the attack.
        ensembles: all ensembles of the results.
        ensemble_ids: (purifier, seed) -> the records of the group's ensembles.
    """

    def __init__(
        self,
        group: Group,
        row: Row,
        attack: str,
        ensembles: Ensembles,
        ensemble_ids: Mapping[tuple[MethodKey, int], Sequence[str]],
    ) -> None:
        self.group, self.row, self.attack = group, row, attack
        self.ensembles, self.ensemble_ids = ensembles, ensemble_ids
        self.columns = standard_columns(group, row)
        references = [other for other in (group.row(VICTIM), group.row(CONTROL)) if other]
        self.victim = next((cells for cells in references if cells.purifier.name == VICTIM), None)
        excluded = group.failed_attacks.union(*map(group.collapsed_seeds, references))
        failed = {cell.seed for cell in row.at(None) if cell.status == "failed"}
        measured = set(by_seed(row.at(None), "asr"))
        self.lost = (group.unusable_seeds(row) | (failed - measured)) - excluded

    def all(self) -> dict[str, BoardNumber]:
        """Returns the numbers by their names; empty where the victim has no working backdoor."""
        if self.group.verdict(self.row).outcome == "no backdoor":
            return {}
        return {
            GAP: self._gap(),
            **{at_budget(column.budget or 0): self._gap_after(column) for column in self.columns},
            **self._worst(),
            **self._before(),
        }

    def _number(
        self, values: Mapping[int, float], records: Iterable[str], interval: Interval | None = None
    ) -> BoardNumber:
        """Returns a number; its interval counts only where its one cell was not lost."""
        alone = len(values) == 1 and not self.lost & values.keys()
        return BoardNumber(
            cells={(self.attack, seed): value for seed, value in values.items()},
            records=tuple(dict.fromkeys(records)),
            interval=interval if alone else None,
        )

    def _ids(self, columns: Iterable[Column], seeds: Iterable[int]) -> list[str]:
        """Returns the records of the model and of the control, before and after retunings."""
        compared = [self.group.comparison(self.row, column) for column in columns]
        cells = [*self.row.at(None), *(cell for one in compared for cell in one.ours)]
        control = self.group.row(CONTROL)
        cells += [cell for one in compared for cell in one.control]
        if control:  # of a lost cell the control alone was retuned, and is compared with the victim
            cells += [cell for one in compared for cell in control.at(one.column)]
        wanted = set(seeds)
        return [cell.id for cell in cells if cell.seed in wanted]

    def _gap(self) -> BoardNumber:
        if len(self.columns) < 2:
            return BoardNumber()
        gaps = seed_gaps(self.group, self.row, self.columns, whole=True)
        unpurified = unpurified_gaps(self.group, self.columns)
        gaps |= {seed: gap for seed, gap in unpurified.items() if seed in self.lost}
        scored = score(self.group, self.row, self.columns)
        interval = scored.gap.interval if scored else None
        return self._number(gaps, self._ids(self.columns, gaps), interval)

    def _gap_after(self, column: Column) -> BoardNumber:
        compared, control = self.group.comparison(self.row, column), self.group.row(CONTROL)
        gaps = gap_by_seed(compared.ours, compared.control)
        gaps = {seed: gap for seed, gap in gaps.items() if seed not in self.lost}
        rates = by_seed(control.at(column), "asr") if control else {}
        gaps |= {seed: 1 - rate for seed, rate in rates.items() if seed in self.lost}
        return self._number(gaps, self._ids([column], gaps), compared.gap.interval)

    def _worst(self) -> dict[str, BoardNumber]:
        """Returns the worst gap within each bound; empty without ensembles."""
        rows = worst_rows(self.group, self.ensembles)
        found = next((one for one in rows if one.row.purifier == self.row.purifier), None)
        numbers = {}
        for index, bound in enumerate(BOUNDS):
            rates = control_rates(self.group, self.ensembles, bound)
            gaps = self._worst_gaps(found, index) if found else {}
            gaps |= {seed: 1 - rate for seed, rate in rates.items() if seed in self.lost}
            if gaps:
                interval = found.at[index].gap.interval if found else None
                numbers[at_bound(bound)] = self._number(gaps, self._worst_ids(gaps), interval)
        return numbers

    def _worst_gaps(self, found: WorstRow, index: int) -> dict[int, float]:
        ours, control = found.at[index].ours, found.at[index].control
        return {
            seed: (ours[seed].measured.asr or 0.0) - (control[seed].measured.asr or 0.0)
            for seed in ours
        }

    def _worst_ids(self, seeds: Collection[int]) -> list[str]:
        models = [self.row, *(row for row in [self.group.row(CONTROL)] if row)]
        keys = [(model.purifier, seed) for model in models for seed in seeds]
        ensembles = [name for key in keys for name in self.ensemble_ids.get(key, ())]
        before = [cell for model in models for cell in model.at(None)]
        return [*(cell.id for cell in before if cell.seed in seeds), *ensembles]

    def _before(self) -> dict[str, BoardNumber]:
        """Returns the numbers of the purified models before any reactivation."""
        result = worst(self.group, self.row)
        own = [cell.id for cell in self.row.at(None)]
        seeds = {cell.seed for cell in self.row.at(None)}
        victims = (
            [cell.id for cell in self.victim.at(None) if cell.seed in seeds] if self.victim else []
        )
        unapplied = self.group.unapplied_seeds(self.row) | self.group.failed_attacks
        losses = self.group.losses(self.row)
        change = {seed: -loss for seed, loss in losses.items() if seed not in unapplied}
        means = {
            O_ASR: result.o_asr.mean,
            SECONDS: self.row.number("cpu_seconds").mean,
            EPOCHS: result.epochs,
        }
        return {
            CHANGE: self._number(change, [*own, *victims], self._change(change).interval),
            **{
                name: replace(self._number({_ALL_SEEDS: mean}, own), rate=name == O_ASR)
                for name, mean in means.items()
                if mean is not None
            },
        }

    def _change(self, seeds: Collection[int]) -> Estimate:
        """Returns the change of clean accuracy, of some seeds alone."""
        ours = [cell for cell in self.row.at(None) if cell.seed in seeds]
        return gap(ours, self.victim.at(None) if self.victim else (), "clean_acc")
