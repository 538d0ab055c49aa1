"""One table: an attack on a data set and a model, its rows and columns, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from remission.intervals import wilson_of_rate
from remission.records import Cell, Json, PathCurve
from remission.report.groups.collapse import ConstantAnswer, reason
from remission.report.groups.estimates import Estimate, Measure, by_seed, gap, gap_by_seed
from remission.report.groups.keys import BY_SEED, CONTROL, VICTIM, GroupKey
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column, Comparison, Row
from remission.report.groups.targets import target_name
from remission.report.groups.thresholds import IMPLANTED, LOSS, SATURATED, at_most
from remission.report.groups.verdict import (
    CONTROL_MODEL,
    PURIFIED_MODEL,
    VICTIM_MODEL,
    Evidence,
    Verdict,
    judge,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """One table: victim and control first, then the purifiers.

    Derived values are computed once, when they are first used.
    """

    key: GroupKey
    title: str
    setting: str
    """The difference to groups that are equal but for the data or the recipe; mostly empty."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    paths: Mapping[tuple[str, str], Sequence[PathCurve]] = field(repr=False)
    """(purifier label, batch-norm policy) -> one straight line per seed, victim to purified."""
    other_paths: Mapping[tuple[str, str, str], Sequence[PathCurve]] = field(repr=False)
    """(purifier label, ``PathCurve.walk``, batch-norm policy) -> one other path per seed."""
    seeds: int
    """The largest number of seeds behind any number of the group."""
    repeated: int
    """Cells that share row, column and seed with another one."""
    constant: Mapping[int, ConstantAnswer] = field(repr=False)
    """Seed -> the best model that gives one answer for all images."""

    @property
    def target_name(self) -> str | None:
        """The name of the attacker's class; None where it differs, or no record holds it."""
        if self.key.target == BY_SEED:
            return None
        rows = (cell for row in self.rows for cells_ in row.cells.values() for cell in cells_)
        curves = (path for paths in self.paths.values() for path in paths)
        return target_name([*rows, *curves])

    def subject(self) -> Json:
        """Returns the columns that say which backdoor the group is about."""
        return self.key.subject() | {"target_name": self.target_name}

    def row(self, purifier: str) -> Row | None:
        """Returns the first row of a purifier, by its name."""
        return next((row for row in self.rows if row.purifier.name == purifier), None)

    @property
    def purified(self) -> list[Row]:
        """The rows that are neither the victim nor the control."""
        return [row for row in self.rows if not row.reference]

    def verdict(self, row: Row) -> Verdict:
        """Returns the verdict on a purified model."""
        return self._verdicts[row.purifier]

    def comparison(self, row: Row, column: Column | None) -> Comparison:
        """Compares a row with the control after ``column``; None: before any reactivation."""
        return self._comparisons[row.purifier, column]

    def judged(self, row: Row) -> list[Comparison]:
        """Returns the comparisons of a row whose gaps can be judged, in order of columns."""
        return [
            comparison
            for column in self.columns
            if (comparison := self.comparison(row, column)).judged
        ]

    def gap(self, row: Row, column: Column | None, measure: Measure = "asr") -> Estimate:
        """Returns how far a row lies above the control after the same reactivation."""
        if measure == "asr":
            return self.comparison(row, column).gap
        return gap(row.at(column), self._control(column), measure)

    def losses(self, row: Row) -> dict[int, float]:
        """Returns seed -> clean accuracy that purification cost, compared with the victim's."""
        victim = self.row(VICTIM)
        before = victim.at(None) if victim else ()
        changes = gap_by_seed(row.at(None), before, "clean_acc")
        collapsed = self.collapsed_seeds(victim) if victim else frozenset()
        return {seed: -change for seed, change in changes.items() if seed not in collapsed}

    def broken_seeds(self, row: Row) -> set[int]:
        """Returns the seeds with which purification broke the model."""
        return {seed for seed, loss in self.losses(row).items() if not at_most(loss, LOSS)}

    def collapsed_seeds(self, row: Row, column: Column | None = None) -> frozenset[int]:
        """Returns the seeds with which a model is not shown to be better than one answer."""
        if column is not None and column.perturbs:  # the accuracy is that on perturbed images
            return frozenset()
        return frozenset(
            cell.seed
            for cell in row.at(column)
            if (answer := self.constant.get(cell.seed)) and answer.beats(cell)
        )

    @cached_property
    def failed_attacks(self) -> frozenset[int]:
        """The seeds whose victim has no working backdoor, where that of another seed has one.

        Nothing is judged with them: a mean over all seeds would hide the backdoor of the others.
        """
        victim = self.row(VICTIM)
        rates = by_seed(victim.at(None), "asr") if victim else {}
        failed = frozenset(seed for seed, asr in rates.items() if asr < IMPLANTED)
        return failed if len(failed) < len(rates) else frozenset()

    def unapplied_seeds(self, row: Row) -> frozenset[int]:
        """Returns the seeds with which the purifier returned the victim unchanged.

        Like seeds whose attack failed, they are in no comparison: a mean over all seeds would mix
        the victim's own rates with those of purified models.
        """
        return frozenset(cell.seed for cell in row.at(None) if cell.applied is False)

    def unusable_seeds(self, row: Row) -> frozenset[int]:
        """Returns the seeds with which no purified model can be judged.

        The attack failed, the victim, the control or the model collapsed or broke, or the purifier
        returned the victim unchanged.
        """
        models = [row, *(other for other in self.rows if other.reference)]
        collapsed = (self.collapsed_seeds(model) for model in models)
        return frozenset(self.broken_seeds(row)).union(
            self.failed_attacks, self.unapplied_seeds(row), *collapsed
        )

    def breaks(self, row: Row, column: Column) -> bool:
        """Returns whether a reactivation broke the model of a row.

        A reactivation that perturbs images changes no model.
        """
        change = gap(row.at(column), row.at(None), "clean_acc").mean
        return not self.perturbed(column) and change is not None and not at_most(-change, LOSS)

    def cost(self, row: Row) -> Estimate:
        """Returns a purifier's cost in epochs of plain fine-tuning, by processor seconds.

        It is unknown where the group has no row of plain fine-tuning.
        """
        tuned = next((other for other in self.rows if other.unit_of_cost), None)
        seconds = tuned.number("cpu_seconds").mean if tuned else None
        epochs = tuned.purifier.parameters.get("epochs") if tuned else None
        if row.reference or not seconds or not isinstance(epochs, int):
            return Estimate()
        return row.number("cpu_seconds").scaled(epochs / seconds)

    def perturbed(self, column: Column) -> bool:
        """Returns whether a reactivation perturbs images; else it changes weights."""
        return column.perturbs

    def in_place(self, column: Column) -> bool:
        """Returns whether a perturbation replaces the trigger."""
        return column.in_place

    @cached_property
    def saturated(self) -> list[Column]:
        """The columns where the reactivation implants the backdoor even in the control.

        Reactivations that perturb images are left out: they train nothing, and are compared with
        the control under the same perturbation.
        """
        control = self.row(CONTROL)
        if control is None:
            return []
        rates = {column: control.number("asr", column).mean for column in self.columns}
        return [
            column
            for column, rate in rates.items()
            if rate is not None and rate > SATURATED and not self.perturbed(column)
        ]

    @cached_property
    def _comparisons(self) -> Mapping[tuple[MethodKey, Column | None], Comparison]:
        columns: tuple[Column | None, ...] = (None, *self.columns)
        return {
            (row.purifier, column): self._compare(row, column)
            for row in self.rows
            for column in columns
        }

    @cached_property
    def _verdicts(self) -> Mapping[MethodKey, Verdict]:
        return {row.purifier: judge(self._evidence(row)) for row in self.purified}

    def _evidence(self, row: Row) -> Evidence:
        victim, control = self.row(VICTIM), self.row(CONTROL)
        models = {VICTIM_MODEL: victim, CONTROL_MODEL: control, PURIFIED_MODEL: row}
        collapsed = {name: self.collapsed_seeds(model) for name, model in models.items() if model}
        return Evidence(
            victim=self.comparison(victim, None) if victim else None,
            before=self.comparison(row, None),
            after=[self.comparison(row, column) for column in self.columns],
            losses=self.losses(row),
            control=control is not None,
            seeds=frozenset(c.seed for cells in row.cells.values() for c in cells)
            - self.failed_attacks,
            failed_attacks=self.failed_attacks,
            unapplied=self.unapplied_seeds(row) - self.failed_attacks,
            collapsed=collapsed,
            reasons={
                name: self._reason(name, model)
                for name, model in models.items()
                if model and collapsed[name]
            },
        )

    @property
    def reasons(self) -> list[str]:
        """Clauses on the victim and the control, where they collapsed."""
        models = {VICTIM_MODEL: self.row(VICTIM), CONTROL_MODEL: self.row(CONTROL)}
        texts = [self._reason(name, row) for name, row in models.items() if row]
        return [text for text in texts if text]

    def _reason(self, name: str, row: Row) -> str:
        seeds = self.collapsed_seeds(row)
        if not seeds:
            return ""
        return reason(name, [cell for cell in row.at(None) if cell.seed in seeds], self.constant)

    def _compare(self, row: Row, column: Column | None) -> Comparison:
        models = (row, *self._controls)
        left_out = self.failed_attacks.union(
            self.unapplied_seeds(row),
            *(self.collapsed_seeds(model) for model in (*models, self.row(VICTIM)) if model),
        )
        ours = [cell for cell in row.at(column) if cell.seed not in left_out]
        control = [cell for cell in self._beside(row, column) if cell.seed not in left_out]
        return Comparison(
            row=row,
            column=column,
            ours=ours,
            control=control,
            gap=gap(ours, control),
            broken=column is not None and any(self._spoils(model, column) for model in models),
        )

    def _spoils(self, row: Row, column: Column) -> bool:
        """Returns whether a reactivation broke the model of a row, or collapsed it."""
        collapsed = self.collapsed_seeds(row, column) - self.collapsed_seeds(row)
        return self.breaks(row, column) or bool(collapsed)

    def _beside(self, row: Row, column: Column | None) -> list[Cell]:
        """Returns the control's cells that the cells of a row are compared with.

        After a reactivation that perturbs images the control has two ASRs: under the very same
        perturbation, and under the perturbation that was made for the control. The higher one
        counts.
        """
        ours, control = row.at(column), self._control(column)
        if all(cell.control_asr is None for cell in ours):
            return control
        return [_on_control(cell, control) for cell in ours]

    @property
    def _controls(self) -> list[Row]:
        return [row for row in self.rows if row.purifier.name == CONTROL]

    def _control(self, column: Column | None) -> list[Cell]:
        return [cell for row in self._controls for cell in row.at(column)]


def _on_control(cell: Cell, control: Sequence[Cell]) -> Cell:
    """Returns the control's cell of higher ASR: under the same perturbation, or under its own."""
    interval = wilson_of_rate(cell.control_asr, cell.n_triggered)
    same = replace(cell, asr=cell.control_asr, asr_interval=interval)
    own = [other for other in control if other.seed == cell.seed and other.asr is not None]
    return max([same, *own], key=lambda candidate: candidate.asr or 0.0)
