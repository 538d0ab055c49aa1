"""Two numbers on a purifier: in how many cells it purified, and how far those relapse.

A cell is one attack with one seed, where the victim's backdoor works and neither the victim nor the
control collapsed. It is *purified* where the O-ASR is at most ``MARGIN`` above the control's, and
not where purification broke or collapsed the model, as otherwise a purifier would gain by breaking
the models that it cannot purify. Nor is it where the purifier returned the victim unchanged. The
*relapse* of a purified cell is its largest gap between the P-ASR and the control's after the same
reactivation. Cells that were not purified have no relapse, so that neither number can stand in for
the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from remission.intervals import around, mean_of, student_half_width
from remission.report.groups.estimates import Estimate, by_seed, gap, gap_by_seed
from remission.report.groups.group import Group
from remission.report.groups.rows import Column, Comparison, Row
from remission.report.groups.thresholds import MARGIN, at_most


@dataclass(frozen=True, kw_only=True)
class PurifiedCells:
    """The cells of one purifier: with each seed of one attack, or of several attacks.

    Args:
        relapses: for each attack, the largest gap of each purified cell; unknown where no
            reactivation of that cell can be judged.
        cells: the number of all cells.
        not_applied: the number of those whose victim the purifier returned unchanged.
        broken: the number of those whose model purification broke.
        collapsed: the number of those whose model purification made no better than one answer for
            all images.
        failed: the number of models that were not measured, as an error ended the purifier; they
            are not among the cells.
    """

    relapses: tuple[tuple[Estimate, ...], ...] = ()
    cells: int = 0
    not_applied: int = 0
    broken: int = 0
    collapsed: int = 0
    failed: int = 0

    @property
    def purified(self) -> int:
        """The number of purified cells."""
        return sum(map(len, self.relapses))

    @property
    def share(self) -> float | None:
        """Share of the cells that were purified; None without cells."""
        return self.purified / self.cells if self.cells else None

    @property
    def relapse(self) -> Estimate:
        """The mean relapse of the purified cells; ``n`` counts the cells that have one.

        It is the mean over attacks of the mean over the purified cells of each, with Student's t
        over the attacks, since the seeds of one attack are no independent attacks. With one attack
        it is over the cells, and of a single cell the interval is that cell's own.
        """
        by_attack = [
            [cell.mean for cell in cells if cell.mean is not None] for cells in self.relapses
        ]
        known = [values for values in by_attack if values]
        count = sum(map(len, known))
        if not known:
            return Estimate()
        if count == 1:
            return next(cell for cells in self.relapses for cell in cells if cell.known)
        values = [mean_of(values) for values in known] if len(known) > 1 else known[0]
        mean, half = mean_of(values), student_half_width(values)
        interval = None if half is None else around(mean, half)
        return Estimate(mean=mean, half_width=half, n=count, interval=interval)


def purified_seeds(group: Group, row: Row) -> frozenset[int]:
    """Returns the seeds with which a purifier purified the model of one group."""
    if group.verdict(row).outcome == "no backdoor":
        return frozenset()
    before, broken = group.comparison(row, None), group.broken_seeds(row)
    gaps = gap_by_seed(before.ours, before.control)
    return frozenset(
        seed for seed, gap in gaps.items() if at_most(gap, MARGIN) and seed not in broken
    )


def purified(group: Group, row: Row, column: Column | None = None) -> PurifiedCells:
    """Returns the cells of a purifier under the attack of one group.

    Args:
        group: the attack.
        row: the purifier.
        column: the only reactivation that the relapse is read from; None: all of them, of which the
            largest gap counts.
    """
    measured = set(by_seed(row.at(None), "asr"))
    failed = {cell.seed for cell in row.at(None) if cell.status == "failed"} - measured
    lost = PurifiedCells(failed=len(failed))
    if group.verdict(row).outcome == "no backdoor":
        return lost
    references = [group.collapsed_seeds(other) for other in group.rows if other.reference]
    usable = measured - group.failed_attacks.union(*references)
    broken = usable & group.broken_seeds(row)
    collapsed = (usable & group.collapsed_seeds(row)) - broken
    unapplied = (usable & group.unapplied_seeds(row)) - collapsed
    before = group.comparison(row, None)
    compared = (usable & gap_by_seed(before.ours, before.control).keys()) - broken
    comparisons = [c for c in group.judged(row) if column is None or c.column == column]
    low = sorted(purified_seeds(group, row))
    return replace(
        lost,
        relapses=(tuple(_relapse(comparisons, seed) for seed in low),),
        cells=len(compared) + len(unapplied) + len(broken) + len(collapsed),
        not_applied=len(unapplied),
        broken=len(broken),
        collapsed=len(collapsed),
    )


def together(parts: Iterable[PurifiedCells]) -> PurifiedCells:
    """Returns the cells of one purifier under several attacks."""
    parts = list(parts)
    return PurifiedCells(
        relapses=tuple(cells for part in parts for cells in part.relapses),
        cells=sum(part.cells for part in parts),
        not_applied=sum(part.not_applied for part in parts),
        broken=sum(part.broken for part in parts),
        collapsed=sum(part.collapsed for part in parts),
        failed=sum(part.failed for part in parts),
    )


def _relapse(comparisons: Sequence[Comparison], seed: int) -> Estimate:
    """Returns the largest gap of one seed; unknown where it has none."""
    gaps = [
        gap(
            [cell for cell in comparison.ours if cell.seed == seed],
            [cell for cell in comparison.control if cell.seed == seed],
        )
        for comparison in comparisons
    ]
    return max(
        (number for number in gaps if number.known),
        key=lambda number: number.mean or 0.0,
        default=Estimate(),
    )
