"""How near a purified model is to a backdoor, by triggers that are taught to copies of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remission.audit.suspicion import Suspect
from remission.audit.tried_triggers import TriedTrigger
from remission.data.split import holdout
from remission.errors import DivergedError
from remission.intervals import Rate
from remission.models import Classifier
from remission.paths import linear_path, weight_distance
from remission.paths.linear import BatchNorm
from remission.progress import within
from remission.reactivations import OBA, Retuning
from remission.records.suspect import AuditedLine, AuditedTrigger, WorstRetuning
from remission.seeding import Seed
from remission.training import clean_accuracy
from remission.triggers import InSequence, Unchanged
from remission.types import LabelledImages

BUDGETS = (0, 1, 5, 20, 100)
"""Numbers of poisoned images of the retuning that the paper describes."""
QUICK_BUDGETS = (0, 5, 20)
"""Those of a quick audit."""
MOST_LOST = 0.03
"""The clean accuracy that a worst retuning may cost."""
_WORST_BUDGET = 20
"""Number of poisoned images of the retunings of the grid."""
_RETUNED_ON = 500
"""So many clean images a retuning gets at most."""
_POINTS = 11
"""Positions on the line."""
_SEARCH = OBA(epochs=4)
"""The search for small perturbations, with 4 passes over the images; its authors take 50."""
GRID: dict[str, Retuning] = {
    "SGD, lr 0.01, 5 passes": Retuning(),
    "SGD, lr 0.05, 5 passes": Retuning(lr=0.05),
    "SGD, lr 0.01, 15 passes": Retuning(epochs=15),
    "SGD, lr 0.001, 15 passes": Retuning(lr=0.001, epochs=15),
    "Adam, lr 0.001, 5 passes": Retuning(optimizer="adam", lr=0.001),
    "last layer, SGD, lr 0.1, 5 passes": Retuning(layers="head", lr=0.1),
}
"""Ways to retune, the paper's first."""
IN_ANY_CASE = 2
"""So many of :data:`LEFT_OUT` a quick audit leaves out even without a purified model."""
LEFT_OUT = (
    "half of the steps by which the class and its trigger are sought",
    "the second class, where two are suspected",
    "a third of the fresh triggers",
    "the grid of retunings, of which the worst is taken",
    "retunings with 1 and with 100 poisoned images",
    "the search for small perturbations",
    "the line with interpolated batch-norm statistics",
)
"""What a quick audit leaves out."""


class Depth:
    """The measurements of one purified model.

    Args:
        start: the suspect model.
        purified: the purified model with images.
        seed: the source of everything random; the same for all triggers.
        quick: whether what :data:`LEFT_OUT` lists is left out.

    Raises:
        DivergedError: the retuning on clean images alone diverged.
    """

    def __init__(self, start: Classifier, purified: Suspect, *, seed: Seed, quick: bool) -> None:
        self.start, self.model, self.held_out = start, purified.model, purified.held_out
        self.seed, self.quick = seed, quick
        self.clean_acc = clean_accuracy(self.model, self.held_out)
        self.images = _some(purified.clean, seed)
        with within("clean images alone"):
            self.settled = Retuning(budgets=(0,))(
                self.model, self.images, Unchanged(), 0, budget=0, seed=seed
            )

    def of(self, trigger: TriedTrigger, before: AuditedTrigger) -> AuditedTrigger:
        """Returns everything about one trigger.

        Args:
            trigger: the trigger.
            before: what is known of it already.
        """
        most = trigger.most(self.images, self.model.classes)
        reached = dict[int, tuple[Rate, Rate]]()
        for budget in QUICK_BUDGETS if self.quick else BUDGETS:
            if budget <= most and (found := self.retuned(Retuning(), trigger, budget)):
                reached[budget] = found
        searched = trigger.searched and not self.quick
        return replace(
            before,
            as_purified=trigger.success(self.model, self.held_out),
            budgets=tuple(reached),
            success=tuple(success for success, _ in reached.values()),
            clean_acc=tuple(clean_acc for _, clean_acc in reached.values()),
            worst=self.worst(trigger, reached) if searched else None,
            perturbed=self.perturbed(trigger) if searched else None,
        )

    def highest(self, triggers: Sequence[TriedTrigger]) -> Rate:
        """Returns the largest success of at least one trigger on the model as it is."""
        rates = (trigger.success(self.model, self.held_out) for trigger in triggers)
        return max(rates, key=lambda rate: rate.value)

    def retuned(
        self, retuning: Retuning, trigger: TriedTrigger, budget: int
    ) -> tuple[Rate, Rate] | None:
        """Returns success and clean accuracy after a retuning; None where it diverged."""
        try:
            model = self.settled
            if budget:
                model = trigger.retuned(retuning, self.model, self.images, budget, self.seed)
            return trigger.success(model, self.held_out), clean_accuracy(model, self.held_out)
        except DivergedError:
            return None

    def worst(
        self, trigger: TriedTrigger, reached: dict[int, tuple[Rate, Rate]]
    ) -> WorstRetuning | None:
        """Returns the retuning with the largest success that costs at most :data:`MOST_LOST`.

        Args:
            trigger: the trigger.
            reached: budget -> what the first retuning of the grid reached.
        """
        budget = min(_WORST_BUDGET, trigger.most(self.images, self.model.classes))
        best: WorstRetuning | None = None
        for setting, retuning in GRID.items():
            found = reached.get(budget) if retuning == Retuning() else None
            found = found or self.retuned(retuning, trigger, budget)
            if found is None or found[1].value < self.clean_acc.value - MOST_LOST:
                continue
            if best is None or found[0].value > best.success.value:
                success, clean_acc = found
                best = WorstRetuning(
                    setting=setting,
                    budget=budget,
                    success=success,
                    clean_acc=clean_acc,
                    tried=len(GRID),
                )
        return best

    def perturbed(self, trigger: TriedTrigger) -> Rate | None:
        """Returns the success of a trigger together with one small perturbation of all images."""
        if trigger.change is None:
            return None
        try:
            found = _SEARCH(
                self.model, self.images, trigger.change, trigger.target, seed=self.seed
            ).perturbation
        except DivergedError:
            return None
        both = replace(trigger, change=InSequence(trigger.change, found))
        return both.success(self.model, self.held_out)

    def lines(self, trigger: TriedTrigger) -> tuple[AuditedLine, ...]:
        """Measures the line from the suspect to the purified model, if there is one."""
        if trigger.change is None or not self.comparable:
            return ()
        policies: tuple[BatchNorm, ...] = ("interpolated", "recalibrated")
        return tuple(self._line(trigger, policy) for policy in policies[self.quick :])

    def _line(self, trigger: TriedTrigger, policy: BatchNorm) -> AuditedLine:
        assert trigger.change is not None
        points = linear_path(
            self.start,
            self.model,
            self.held_out,
            trigger.change,
            trigger.target,
            points=_POINTS,
            batchnorm=policy,
            clean=self.images,
        )
        return AuditedLine(
            batchnorm=policy,
            t=tuple(points.t),
            success=tuple(rates.asr.value for rates in points.rates),
            clean_acc=tuple(rates.clean_acc.value for rates in points.rates),
        )

    @property
    def comparable(self) -> bool:
        """Whether both models have the same weights by name and shape."""
        shapes = [
            {key: value.shape for key, value in model.state_dict().items()}
            for model in (self.start, self.model)
        ]
        return shapes[0] == shapes[1]

    def distance(self) -> float | None:
        """Returns the relative distance of both models; None where they cannot be compared."""
        return weight_distance(self.start, self.model).relative if self.comparable else None


def _some(clean: LabelledImages, seed: Seed) -> LabelledImages:
    """Returns a stratified part of the images, for retuning."""
    if len(clean) <= _RETUNED_ON:
        return clean
    share = _RETUNED_ON / len(clean)
    return clean[holdout(clean.labels.cpu(), share, seed.child("images"))[1]]
