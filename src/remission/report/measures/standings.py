"""The result of each purifier under each attack and over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from remission.report.groups.estimates import Estimate, estimate, gap
from remission.report.groups.group import Group
from remission.report.groups.keys import VICTIM
from remission.report.groups.labels import MethodKey, trigger_of
from remission.report.groups.rows import Column, Row
from remission.report.groups.titles import titles
from remission.report.groups.verdict import Verdict, VerdictName
from remission.report.measures.purified import PurifiedCells, purified, together

LOST: dict[VerdictName, str] = {
    "survived": "not purified",
    "not applied": "not applied",
    "broken": "broken",
}
NOT_JUDGED: dict[VerdictName, str] = {"no backdoor": "attack failed", "collapsed": "collapsed"}


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The result of a purifier under one attack.

    Args:
        gap: the largest gap to the control, mean over the seeds; unknown without a comparison.
        column: the reactivation and budget of that gap; None if unknown.
        verdict: the verdict on the purifier.
        cells: the cells that were purified, and the others, one per seed.
        change: change of clean accuracy, compared with the victim, with the seeds with which the
            purifier changed the model.
        o_asr: ASR before any reactivation: the mean over these seeds, or the victim's own with the
            other seeds where that is higher.
        epochs: cost in epochs of plain fine-tuning; None where there is no such row.
        skipped: number of reactivations left out, since they broke the model or the control.
    """

    gap: Estimate
    column: Column | None
    verdict: Verdict
    cells: PurifiedCells
    change: Estimate
    o_asr: Estimate
    epochs: float | None
    skipped: int

    @property
    def lost(self) -> bool:
        """Whether the backdoor survived purification, or the purified model is of no use."""
        return self.verdict.outcome in LOST


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A purifier, with its result under each attack; ``under`` maps titles of attacks to them."""

    label: str
    purifier: MethodKey
    under: dict[str, Worst]

    @property
    def knows_trigger(self) -> bool:
        """Whether it works with the attacker's own trigger."""
        return trigger_of(self.purifier.parameters) == "true"

    @property
    def worked(self) -> list[Worst]:
        """The results under attacks that left a backdoor, in models that did not collapse."""
        return [worst for worst in self.under.values() if worst.verdict.outcome not in NOT_JUDGED]

    @cached_property
    def cells(self) -> PurifiedCells:
        """The cells under all attacks."""
        return together(worst.cells for worst in self.under.values())

    def order(self) -> tuple[float, float, str]:
        """Returns a key to sort by: the share of purified cells, their relapse, and the label."""
        share, relapse = self.cells.share, self.cells.relapse.mean
        return (
            math.inf if share is None else -share,
            math.inf if relapse is None else relapse,
            self.label,
        )


def worst(group: Group, row: Row) -> Worst:
    """Returns the result of a purifier in one group."""
    verdict = group.verdict(row)
    after = [group.comparison(row, column) for column in group.columns]
    victim = group.row(VICTIM)
    before = victim.at(None) if victim else ()
    failed = sum(comparison.gap.failed for comparison in after)
    unapplied = group.unapplied_seeds(row)
    changed = [cell for cell in row.at(None) if cell.seed not in unapplied]
    unchanged = [cell for cell in row.at(None) if cell.seed in unapplied]
    return Worst(
        gap=verdict.largest.gap if verdict.largest else Estimate(failed=failed),
        column=verdict.largest.column if verdict.largest else None,
        verdict=verdict,
        cells=purified(group, row),
        change=gap(changed, before, "clean_acc"),
        o_asr=max(
            estimate(changed, "asr"), estimate(unchanged, "asr"), key=lambda rate: rate.mean or 0.0
        ),
        epochs=group.cost(row).mean,
        skipped=sum(comparison.gap.known and comparison.broken for comparison in after),
    )


def standings(groups: Sequence[Group]) -> list[Standing]:
    """Returns the purifiers of these groups in the order of :meth:`Standing.order`."""
    names, by_purifier = titles(groups), dict[MethodKey, Standing]()
    for group in groups:
        for row in group.rows:
            if not row.reference:
                standing = Standing(label=row.label, purifier=row.purifier, under={})
                by_purifier.setdefault(row.purifier, standing).under[names[group.key]] = worst(
                    group, row
                )
    return sorted(by_purifier.values(), key=Standing.order)
