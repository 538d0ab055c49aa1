"""The result of each purifier under each attack: its largest gap to the control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from remission.report.groups.estimates import Estimate, gap, mean_known
from remission.report.groups.group import Group
from remission.report.groups.keys import VICTIM
from remission.report.groups.labels import MethodKey
from remission.report.groups.rows import Column, Row
from remission.report.groups.titles import titles
from remission.report.groups.verdict import Verdict, VerdictName

LOST: dict[VerdictName, str] = {"survived": "not purified", "broken": "broken"}
NOT_JUDGED: dict[VerdictName, str] = {"no backdoor": "attack failed", "collapsed": "collapsed"}


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The result of a purifier under one attack.

    Args:
        gap: the largest gap to the control, mean over the seeds; unknown without a comparison.
        column: the reactivation and budget of that gap; None if unknown.
        verdict: the verdict on the purifier.
        change: change of clean accuracy, compared with the victim.
        o_asr: ASR before any reactivation.
        epochs: cost in epochs of plain fine-tuning; None where there is no such row.
        skipped: number of reactivations left out, since they broke the model or the control.
    """

    gap: Estimate
    column: Column | None
    verdict: Verdict
    change: Estimate
    o_asr: Estimate
    epochs: float | None
    skipped: int

    @property
    def lost(self) -> bool:
        """Whether the backdoor survived purification, or purification broke the model."""
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
        return self.purifier.parameters.get("trigger") == "true"

    @property
    def worked(self) -> list[Worst]:
        """The results under attacks that left a backdoor, in models that did not collapse."""
        return [worst for worst in self.under.values() if worst.verdict.outcome not in NOT_JUDGED]

    @property
    def mean_gap(self) -> float:
        """The mean gap over the attacks, 1 where a model is lost; infinite if none is known."""
        mean = mean_known([1.0 if worst.lost else worst.gap.mean for worst in self.worked])
        return math.inf if mean is None else mean


def worst(group: Group, row: Row) -> Worst:
    """Returns the result of a purifier in one group."""
    verdict = group.verdict(row)
    after = [group.comparison(row, column) for column in group.columns]
    victim = group.row(VICTIM)
    before = victim.at(None) if victim else ()
    failed = sum(comparison.gap.failed for comparison in after)
    return Worst(
        gap=verdict.largest.gap if verdict.largest else Estimate(failed=failed),
        column=verdict.largest.column if verdict.largest else None,
        verdict=verdict,
        change=gap(row.at(None), before, "clean_acc"),
        o_asr=row.number("asr"),
        epochs=group.cost(row).mean,
        skipped=sum(comparison.gap.known and comparison.broken for comparison in after),
    )


def standings(groups: Sequence[Group]) -> list[Standing]:
    """Returns the purifiers of these groups, those that relapse least first."""
    names, by_purifier = titles(groups), dict[MethodKey, Standing]()
    for group in groups:
        for row in group.rows:
            if not row.reference:
                standing = Standing(label=row.label, purifier=row.purifier, under={})
                by_purifier.setdefault(row.purifier, standing).under[names[group.key]] = worst(
                    group, row
                )
    return sorted(by_purifier.values(), key=lambda standing: (standing.mean_gap, standing.label))
