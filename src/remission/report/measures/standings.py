"""How each purifier stands under each attack: its largest gap to the control."""

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
    """How a purifier stands under one attack.

    Args:
        gap: to the control where it is largest, mean over the seeds; unknown if nothing compares.
        column: the reactivation and budget of that gap; None if unknown.
        verdict: on the purifier.
        change: of clean accuracy against the victim.
        o_asr: ASR before any reactivation.
        epochs: cost in epochs of plain fine-tuning; None where there is no such row.
        skipped: reactivations left out, since they broke the model or the control.
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
        """Whether the backdoor outlived the purifier itself, or the model did not."""
        return self.verdict.outcome in LOST


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A purifier, and how it stands under each attack (by its title) that it was tried on."""

    label: str
    purifier: MethodKey
    under: dict[str, Worst]

    @property
    def knows_trigger(self) -> bool:
        """Whether it works with the attacker's own trigger."""
        return self.purifier.parameters.get("trigger") == "true"

    @property
    def worked(self) -> list[Worst]:
        """Under the attacks that left a backdoor, beside a control, in models that classify."""
        return [worst for worst in self.under.values() if worst.verdict.outcome not in NOT_JUDGED]

    @property
    def mean_gap(self) -> float:
        """Over the attacks, 1 where a model is lost; infinite where none is known."""
        mean = mean_known([1.0 if worst.lost else worst.gap.mean for worst in self.worked])
        return math.inf if mean is None else mean


def worst(group: Group, row: Row) -> Worst:
    """Returns how a purifier stands in one group."""
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
