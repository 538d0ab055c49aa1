"""The verdict on one purified model: whether it relapses beyond the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from remission.report.groups.estimates import estimate, gap_by_seed
from remission.report.groups.rows import Column, Comparison
from remission.report.groups.thresholds import IMPLANTED, LOSS, MARGIN, at_most

VerdictName = Literal[
    "not applied",
    "survived",
    "relapse",
    "unclear",
    "none found",
    "untested",
    "failed",
    "no backdoor",
    "broken",
    "collapsed",
]

VICTIM_MODEL, CONTROL_MODEL, PURIFIED_MODEL = "victim", "control", "purified model"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The measurements that the verdict on a row rests on.

    Args:
        victim: the backdoored model compared with the control; None where it was not measured.
        before: the purified model compared with the control, before any reactivation.
        after: the same comparison after each reactivation, in the order of the columns.
        losses: seed -> clean accuracy that purification cost, against the victim of that seed.
        control: whether there is a control.
        seeds: the seeds that the row was measured with.
        collapsed: ``victim``, ``control`` or ``purified model`` -> the seeds with which it is no
            better than one answer for all images. They are in no comparison.
        reasons: the same keys -> a clause that says so, where there are such seeds.
        failed_attacks: the seeds whose victim has no working backdoor, where another seed's has
            one. They are in no comparison, and not among ``seeds``.
        unapplied: the seeds with which the purifier returned the victim unchanged. They are in no
            comparison.
    """

    victim: Comparison | None
    before: Comparison
    after: Sequence[Comparison]
    losses: Mapping[int, float]
    control: bool
    seeds: frozenset[int] = frozenset()
    collapsed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    failed_attacks: frozenset[int] = frozenset()
    unapplied: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one purified model; ``text`` puts it into a clause.

    Args:
        outcome: the verdict in one or two words.
        columns: the reactivations and budgets that it rests on: where the backdoor is back
            (``relapse``), where the interval of the gap reaches too far (``unclear``), or all
            comparisons that were judged (``none found``).
        largest: the judged comparison with the largest gap; None where nothing can be judged.
        number: the fraction that decides: how far the intervals of the gaps reach (``unclear``),
            how far the O-ASR lies above the control's (``survived``), how far clean accuracy lies
            below the victim's (``broken``), the victim's ASR (``no backdoor``); else None.
        reason: why nothing was judged (``untested``, ``collapsed``).
        not_purified: the number of seeds with an O-ASR more than ``MARGIN`` above the control's,
            and of all seeds that have both.
        broken: the number of seeds with which purification broke the model, and of all seeds that
            have a victim.
        collapsed: the number of seeds with which the victim, the control or the model itself is no
            better than one answer for all images, and of all seeds.
        failed_attacks: the number of seeds whose victim has no working backdoor, and of all seeds,
            where the verdict is on the others.
        not_applied: the number of seeds with which the purifier returned the victim unchanged, and
            of all seeds; the verdict is on the others where there are any.
    """

    outcome: VerdictName
    columns: tuple[Column, ...] = ()
    largest: Comparison | None = None
    number: float | None = None
    reason: str = ""
    not_purified: tuple[int, int]
    broken: tuple[int, int]
    collapsed: tuple[int, int]
    failed_attacks: tuple[int, int] = (0, 0)
    not_applied: tuple[int, int] = (0, 0)

    @property
    def text(self) -> str:
        """The verdict in a clause, for tables."""
        percent = 100 * (self.number or 0.0)
        reach = f"{min(100.0, percent):.0f} points ({_budgets(self.columns)})"
        clauses: dict[VerdictName, str] = {
            "relapse": f"relapses: {self.where}",
            "unclear": f"unclear: the gap's interval reaches {reach}{self._some}",
            "none found": f"no relapse found: {_last_budgets(self.columns)}{self._some}",
            "not applied": f"not applied: the purifier returned the victim unchanged{self._lost}",
            "survived": f"not purified: O-ASR {percent:.1f} points above the control's"
            + _with_seeds("not applied", *self.not_applied)
            + _with_seeds("the attack failed", *self.failed_attacks),
            "broken": f"broken: clean accuracy {percent:.1f} points below the victim's",
            "no backdoor": f"not judged: the attack failed, the victim's ASR is {percent:.1f}",
            "untested": f"not judged: {self.reason}",
            "collapsed": f"not judged: {self.reason}",
            "failed": "failed",
        }
        return clauses[self.outcome]

    @property
    def where(self) -> str:
        """For a relapse: where the backdoor is back, and what other seeds did."""
        return f"{_budgets(self.columns)}{self._some}"

    @property
    def _some(self) -> str:
        """A clause on the seeds that ended differently: ``; broken with 1 of 3 seeds``."""
        clauses = {
            "not purified": self.not_purified,
            "not applied": self.not_applied,
        }
        return _clauses(clauses) + self._lost

    @property
    def _lost(self) -> str:
        """A clause on the seeds with which nothing can be judged."""
        clauses = {
            "broken": self.broken,
            "collapsed": self.collapsed,
            "the attack failed": self.failed_attacks,
        }
        return _clauses(clauses)


def judge(evidence: Evidence) -> Verdict:
    """Returns the verdict on one purifier of a group."""
    judged = [comparison for comparison in evidence.after if comparison.judged]
    base = Verdict(
        outcome="untested",
        largest=max(judged, key=lambda comparison: comparison.gap.mean or 0.0, default=None),
        not_purified=seeds_beyond(evidence.before),
        broken=(len(_broken_seeds(evidence)), len(evidence.losses)),
        collapsed=(len(_collapsed(evidence)), len(evidence.seeds)),
        failed_attacks=(
            len(evidence.failed_attacks),
            len(evidence.seeds | evidence.failed_attacks),
        ),
        not_applied=(len(evidence.unapplied), len(evidence.seeds)),
    )
    return _before_reactivation(evidence, base) or _after_reactivation(evidence, base)


def _after_reactivation(evidence: Evidence, base: Verdict) -> Verdict:
    """Returns the verdict from the reactivations; ``untested`` where none can be judged."""
    judged = [comparison for comparison in evidence.after if comparison.judged]
    if not judged:
        if any(comparison.gap.failed for comparison in (evidence.before, *evidence.after)):
            return replace(base, outcome="failed")
        return replace(base, reason=_why_untested(evidence))
    if relapses := [comparison for comparison in judged if comparison.beyond_control]:
        return replace(base, outcome="relapse", columns=_columns(relapses))
    if uncertain := [
        comparison for comparison in judged if not at_most(comparison.highest, MARGIN)
    ]:
        most = max(comparison.highest for comparison in uncertain)
        return replace(base, outcome="unclear", columns=_columns(uncertain), number=most)
    return replace(base, outcome="none found", columns=_columns(judged))


def seeds_beyond(before: Comparison) -> tuple[int, int]:
    """Returns the number of seeds with a gap above ``MARGIN``, and of all that have one."""
    gaps = gap_by_seed(before.ours, before.control)
    return sum(not at_most(gap, MARGIN) for gap in gaps.values()), len(gaps)


def _before_reactivation(evidence: Evidence, base: Verdict) -> Verdict | None:
    """Returns the verdict where reactivations cannot change it; None where they decide it."""
    if why := _why_collapsed(evidence, VICTIM_MODEL, CONTROL_MODEL):
        return replace(base, outcome="collapsed", reason=why)
    if evidence.victim and evidence.victim.gap.known:
        asr = estimate(evidence.victim.ours, "asr").mean or 0.0
        if asr < IMPLANTED or not _stands_out(evidence.victim):
            return replace(base, outcome="no backdoor", number=asr)
    losses = evidence.losses
    if losses and _broken_seeds(evidence) == set(losses):
        return replace(base, outcome="broken", number=sum(losses.values()) / len(losses))
    if why := _why_collapsed(evidence, *evidence.collapsed):
        return replace(base, outcome="collapsed", reason=why)
    return _of_usable_models(evidence, base)


def _of_usable_models(evidence: Evidence, base: Verdict) -> Verdict | None:
    """Returns the verdict where the backdoor was never removed; None where it was."""
    remaining = evidence.seeds - _broken_seeds(evidence) - _collapsed(evidence)
    if remaining and remaining <= evidence.unapplied:
        return replace(base, outcome="not applied")
    if _stands_out(evidence.before):
        gap = evidence.before.gap.mean or 0.0
        return replace(base, outcome="survived", number=gap)
    return None


def _collapsed(evidence: Evidence, *models: str) -> set[int]:
    """Returns the seeds with which one of ``models`` collapsed; without names any model."""
    return {
        seed
        for model, seeds in evidence.collapsed.items()
        for seed in seeds & evidence.seeds
        if not models or model in models
    }


def _why_collapsed(evidence: Evidence, *models: str) -> str:
    """Returns why nothing can be judged where, with each seed, one of ``models`` collapsed."""
    if not evidence.seeds or _collapsed(evidence, *models) != evidence.seeds:
        return ""
    return next(evidence.reasons[model] for model in models if evidence.collapsed.get(model))


def _why_untested(evidence: Evidence) -> str:
    if any(comparison.gap.known for comparison in evidence.after):
        return "every reactivation broke the model or the control"
    return "no reactivation" if evidence.control else "no control to compare with"


def _broken_seeds(evidence: Evidence) -> set[int]:
    return {seed for seed, loss in evidence.losses.items() if not at_most(loss, LOSS)}


def _stands_out(before: Comparison) -> bool:
    """Returns whether the O-ASR is above the control's, certainly or with each of several seeds."""
    count, seeds = seeds_beyond(before)
    return before.beyond_control or 1 < seeds == count


def _with_seeds(what: str, count: int, seeds: int) -> str:
    return f"; {what} with {count} of {seeds} seeds" if count else ""


def _clauses(seeds: Mapping[str, tuple[int, int]]) -> str:
    return "".join(_with_seeds(what, *numbers) for what, numbers in seeds.items())


def _columns(comparisons: Sequence[Comparison]) -> tuple[Column, ...]:
    return tuple(comparison.column for comparison in comparisons if comparison.column is not None)


def _budgets(columns: Sequence[Column]) -> str:
    """Returns all budgets, since a gap may close where the control learns: ``retuning at n=5``."""
    budgets: dict[str, list[str]] = {}
    for column in columns:
        numbers = budgets.setdefault(column.label, [])
        if column.budget is not None:
            numbers.append(str(column.budget))
    parts = [f"{k} at n={', '.join(v)}" if v else k for k, v in budgets.items()]
    return "; ".join(parts)


def _last_budgets(columns: Sequence[Column]) -> str:
    """Returns the largest budgets: ``retuning, up to n=100``."""
    largest = {column.label: column for column in columns}
    parts = [
        label if column.budget is None else f"{label}, up to n={column.budget}"
        for label, column in largest.items()
    ]
    return "; ".join(parts)
