"""Numbers from an audit: how much faster suspected triggers are learnt than fresh ones.

Every suspected class has a trigger that was sought on the suspect model alone, and a second one
that the purified model ignores besides. Each is compared with fresh triggers beside it. A model in
remission learns both faster than fresh ones, since both contain the attacker's trigger; what else
they contain differs. So the smaller gap of a class counts, and of several classes the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remission.intervals import Rate, mean_of
from remission.records.suspect import AuditedTrigger, SuspectAudit
from remission.report.measures.relapse_gap import area_between


@dataclass(frozen=True, kw_only=True)
class BudgetGap:
    """A suspected trigger beside others after a retuning with one budget; rates in [0, 1].

    Args:
        budget: number of poisoned images.
        suspected: its success.
        mean: the mean success of the others.
        highest: the largest of these.
    """

    budget: int
    suspected: float
    mean: float
    highest: float

    @property
    def gap(self) -> float:
        """How far the suspected trigger lies above the mean of the others."""
        return self.suspected - self.mean


@dataclass(frozen=True, kw_only=True)
class TriggerComparison:
    """A suspected trigger and others beside it.

    Args:
        suspected: the trigger.
        others: fresh triggers of its kind and size, or those of other classes; at least one.
    """

    suspected: AuditedTrigger
    others: Sequence[AuditedTrigger]

    def gaps(self) -> list[BudgetGap]:
        """Returns the gap at every budget that all have, the smallest budget first."""
        shared = [n for n in self.suspected.budgets if all(n in one.budgets for one in self.others)]
        return [self._gap(budget) for budget in shared]

    def _gap(self, budget: int) -> BudgetGap:
        others = [_success(one, budget) for one in self.others]
        return BudgetGap(
            budget=budget,
            suspected=_success(self.suspected, budget),
            mean=mean_of(others),
            highest=max(others),
        )

    def blind_gap(self) -> float | None:
        """Returns the relapse gap, with the mean of the others in the place of the control.

        It is the mean of :attr:`BudgetGap.gap` over the logarithm of the budget, in [-1, 1], see
        :mod:`remission.report.measures.relapse_gap`; None below two budgets.
        """
        found = [gap for gap in self.gaps() if gap.budget]
        if len(found) < 2:
            return None
        budgets = [gap.budget for gap in found]
        return area_between(budgets, [gap.suspected for gap in found], [gap.mean for gap in found])

    def least_gap(self) -> float | None:
        """Returns the relapse gap beside that one of the others which is learnt fastest."""
        alone = (TriggerComparison(suspected=self.suspected, others=[one]) for one in self.others)
        return min((gap for one in alone if (gap := one.blind_gap()) is not None), default=None)

    def worst_gap(self) -> float | None:
        """Returns the gap after the worst retuning for each trigger."""
        return self._above(lambda one: one.worst.success if one.worst else None)

    def perturbed_gap(self) -> float | None:
        """Returns the gap under the best small perturbation for each trigger."""
        return self._above(lambda one: one.perturbed)

    def _above(self, of: Callable[[AuditedTrigger], Rate | None]) -> float | None:
        """Returns the rate of the suspected trigger above the mean of the others."""
        suspected, others = of(self.suspected), [rate for one in self.others if (rate := of(one))]
        if suspected is None or not others:
            return None
        return suspected.value - mean_of([rate.value for rate in others])


def _success(trigger: AuditedTrigger, budget: int) -> float:
    return trigger.success[trigger.budgets.index(budget)].value


def comparisons(audit: SuspectAudit) -> list[TriggerComparison]:
    """Returns each suspected trigger with fresh ones, as far as both were taught."""
    pairs = [
        (suspected, [one for one in audit.fresh if one.beside == suspected.name])
        for suspected in audit.suspected
    ]
    made = [
        TriggerComparison(suspected=suspected, others=fresh) for suspected, fresh in pairs if fresh
    ]
    return [one for one in made if one.blind_gap() is not None]


def decisive(audit: SuspectAudit) -> TriggerComparison | None:
    """Returns the comparison that counts; None where there is none."""
    least = dict[int, TriggerComparison]()
    for one in comparisons(audit):
        target = one.suspected.target.index
        if target not in least or _gap_of(one) < _gap_of(least[target]):
            least[target] = one
    return max(least.values(), key=_gap_of, default=None)


def _gap_of(comparison: TriggerComparison) -> float:
    return comparison.blind_gap() or 0.0


def beside_other_classes(
    audit: SuspectAudit, suspected: AuditedTrigger
) -> TriggerComparison | None:
    """Returns a suspected trigger with those of other classes; None where there are none."""
    others = [one for one in audit.others if one.budgets]
    return TriggerComparison(suspected=suspected, others=others) if others else None
