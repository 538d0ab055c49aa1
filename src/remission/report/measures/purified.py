"""Two numbers on a purifier: in how many cells it purified, and how far those relapse.

A cell is one attack with one seed. It is *judged* where the victim's backdoor works and neither the
victim, the control nor the model collapsed, nor purification broke the model; it is *purified*
where the O-ASR is then at most ``MARGIN`` above the control's. A purifier that returned the victim
unchanged has not purified it. The *relapse* of a purified cell is its largest gap between the P-ASR
and the control's after the same reactivation. Cells that were not purified have no relapse, so that
neither number can stand in for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from remission.intervals import mean_of, student_half_width
from remission.report.groups.estimates import Estimate, by_seed, gap, gap_by_seed
from remission.report.groups.group import Group
from remission.report.groups.rows import Comparison, Row
from remission.report.groups.thresholds import MARGIN


@dataclass(frozen=True, kw_only=True)
class Purified:
    """The cells of one purifier: with each seed of one attack, or of several attacks.

    Args:
        relapses: for each attack, the largest gap of each purified cell; unknown where no
            reactivation of that cell can be judged.
        judged: the number of judged cells: purified, not purified or not applied.
        not_applied: the number of judged cells whose victim the purifier returned unchanged.
        broken: the number of cells whose model purification broke.
        collapsed: the number of cells with a collapsed victim, control or model.
        failed: the number of cells where the purifier failed.
    """

    relapses: tuple[tuple[Estimate, ...], ...] = ()
    judged: int = 0
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
        """Share of the judged cells that were purified; None where no cell was judged."""
        return self.purified / self.judged if self.judged else None

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
        interval = None if half is None else (max(-1.0, mean - half), min(1.0, mean + half))
        return Estimate(mean=mean, half_width=half, n=count, interval=interval)


def purified(group: Group, row: Row) -> Purified:
    """Returns the cells of a purifier under the attack of one group."""
    before = group.comparison(row, None)
    failed = {cell.seed for cell in row.at(None) if cell.status == "failed"}
    lost = Purified(failed=len(failed - set(by_seed(row.at(None), "asr"))))
    if group.verdict(row).outcome == "no backdoor":
        return lost
    measured = set(by_seed(row.at(None), "clean_acc")) - group.failed_attacks
    references = [other for other in group.rows if other.reference]
    collapsed = measured & frozenset().union(*map(group.collapsed_seeds, [row, *references]))
    broken = (measured & group.broken_seeds(row)) - collapsed
    usable = measured - collapsed - broken
    unapplied = usable & group.unapplied_seeds(row)
    gaps = gap_by_seed(before.ours, before.control)
    known = sorted(usable & gaps.keys())
    comparisons = group.judged(row)
    return replace(
        lost,
        relapses=(
            tuple(_relapse(comparisons, seed) for seed in known if gaps[seed] <= MARGIN),
        ),
        judged=len(known) + len(unapplied),
        not_applied=len(unapplied),
        broken=len(broken),
        collapsed=len(collapsed),
    )


def together(parts: Iterable[Purified]) -> Purified:
    """Returns the cells of one purifier under several attacks."""
    parts = list(parts)
    return Purified(
        relapses=tuple(cells for part in parts for cells in part.relapses),
        judged=sum(part.judged for part in parts),
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
