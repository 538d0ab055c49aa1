"""How deep the safety of a purified model is, with or without knowledge of the trigger.

A model that holds no backdoor learns the suspected trigger no faster than one that it never saw. So
suspected and fresh triggers are taught to copies of the purified model, in the same ways and with
the same images, and their success is compared. The line to the suspect model, and a search for
small perturbations, show how near the backdoor still is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from remission.audit.depth import IN_ANY_CASE, LEFT_OUT, MOST_LOST, Depth
from remission.audit.estimate import rehearsed
from remission.audit.sought_triggers import Sought, other_classes, seek, seek_second
from remission.audit.suspicion import Suspect, invert, suspicion_of
from remission.audit.tried_triggers import TriedTrigger, triggers_of, with_first
from remission.errors import CheckpointError
from remission.inversion import Inverted, Voted
from remission.inversion.perturbations import TRIED
from remission.progress import within
from remission.records.suspect import AuditedTrigger, SuspectAudit
from remission.seeding import Seed
from remission.training import clean_accuracy
from remission.triggers import Patch

_COPIES, _QUICK_COPIES = 6, 4
"""Number of fresh copies of each suspected trigger, which differ by up to 60 points."""
_SEARCHED = 2
"""So many of them get the dear searches of a whole audit, too."""
_QUICK = {"steps": 50, "reference_epochs": 15, "starts": 4, "margin_steps": 60}
"""The most that a quick audit takes of these parameters: half of their defaults."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Auditor:
    """The audit of one suspect model, alone or with what somebody made of it.

    Args:
        suspect: the suspect model with images.
        purified: the purified model with the same images; None: the suspect alone is audited.
        inversion: the vote on the target class; a quick audit caps its steps.
        seed: the source of everything random.
        known: the trigger, where it is given; None: triggers are inverted.
        quick: whether what :data:`remission.audit.depth.LEFT_OUT` lists is left out.
        arrives: a second trigger that succeeds on a smaller share of images of the suspect model is
            left out.

    Raises:
        CheckpointError: the models have different numbers of classes, or other images.
    """

    suspect: Suspect
    purified: Suspect | None
    inversion: Voted
    seed: Seed
    known: TriedTrigger | None = None
    quick: bool = False
    arrives: float = 0.5

    def __post_init__(self) -> None:
        """Compares the models, and caps the steps of the inversion of a quick audit."""
        if self.purified:
            made, suspect = self.purified.model, self.suspect.model
            differs = ""
            if made.classes != suspect.classes:
                differs = f"has {made.classes} classes, and the suspect model has {suspect.classes}"
            elif made.shape != suspect.shape:
                differs = (
                    f"takes images of shape {made.shape}, and the suspect model of {suspect.shape}"
                )
            if differs:
                raise CheckpointError(
                    f"the purified model {differs}", "give a model that was made of the suspect one"
                )
        if self.quick:
            halved = {
                key: min(value, getattr(self.inversion, key)) for key, value in _QUICK.items()
            }
            object.__setattr__(self, "inversion", replace(self.inversion, **halved))

    def audit(
        self, inverted: Inverted | None = None
    ) -> tuple[SuspectAudit, tuple[bytes, bytes] | None]:
        """Runs the whole audit.

        Args:
            inverted: what :func:`remission.audit.suspicion.invert` found in the suspect model, if
                it was asked before; None: it is asked now.

        Returns:
            What was found, and strips of held-out images without and with the suspected trigger
            that succeeds most, as PNG files; None where there are only triggered images.
        """
        began, suspect = time.perf_counter(), self.suspect
        inverted = inverted or invert(suspect, self.inversion, self.seed)
        targets = inverted.suspects
        alone, tried = self._triggers(targets[:1] if self.quick else targets)
        reached = [one.success(suspect.model, suspect.held_out) for one in alone]
        best = max(range(len(alone)), key=lambda number: reached[number].value)
        depth = self._depth()
        triggers = list[AuditedTrigger]()
        for number, trigger in enumerate(tried, start=1):
            with within(f"trigger {number}/{len(tried)}"):
                described = self._described(trigger)
                triggers.append(depth.of(trigger, described) if depth else described)
        found = SuspectAudit(
            suspect=suspect.reading(),
            purified=self.purified.reading() if self.purified else None,
            exact=self.known is not None,
            suspicion=suspicion_of(suspect, inverted, self.inversion),
            clean_acc=clean_accuracy(suspect.model, suspect.held_out),
            purified_clean_acc=depth.clean_acc if depth else None,
            alone=reached[best],
            alone_on_purified=depth.highest(alone) if depth else None,
            triggers=tuple(triggers),
            most_lost=MOST_LOST,
            lines=depth.lines(alone[best]) if depth else (),
            relative_distance=depth.distance() if depth else None,
            left_out=LEFT_OUT[: None if depth else IN_ANY_CASE] if self.quick else (),
            seconds=time.perf_counter() - began,
        )
        change, target = alone[best].change, alone[best].target
        return found, suspect.pictures(change, target) if change else None

    def _triggers(self, targets: Sequence[int]) -> tuple[list[TriedTrigger], list[TriedTrigger]]:
        """Returns the triggers of the suspect model alone, and all that are taught.

        The latter are the suspected ones first. A given trigger is the only suspected one.
        """
        if self.known:
            return [self.known], [self.known, *self._beside(self.known)]
        alone, taught = list[TriedTrigger](), list[TriedTrigger]()
        for number, target in enumerate(targets):
            sought = self._sought(target, targets)
            first, *beside = self._tried(sought, target)
            alone.append(first)
            taught += [first, *(beside if number == 0 else _fresh(beside))]
            if self.purified:
                second, *others = self._tried(self._second(sought, target), target, "second ")
                reached = second.success(self.suspect.model, self.suspect.held_out)
                if reached.value >= self.arrives:
                    taught += [second, *_fresh(others)]
        order = ("suspected", "fresh", "other")
        return alone, sorted(taught, key=lambda one: order.index(one.role))

    def _beside(self, known: TriedTrigger) -> list[TriedTrigger]:
        """Returns fresh triggers beside a given one, and those of other classes.

        Beside a patch they are of its size; where there are only triggered images, they are of the
        trigger that is sought for its class.
        """
        sought = self._sought(known.target, [known.target], patch=isinstance(known.change, Patch))
        if isinstance(known.change, Patch):
            sought = replace(sought, theta=with_first(sought.theta, known.change))
        beside = self._tried(sought, known.target)[1:]
        return [replace(one, beside=known.name if one.beside else "") for one in beside]

    def _sought(self, target: int, targets: Sequence[int], *, patch: bool = False) -> Sought:
        """Seeks the perturbations of a class and of a few that are not among ``targets``."""
        model, seed = self.suspect.model, self.seed.child("triggers")
        others = other_classes(targets, model.classes, seed)
        return seek(
            model,
            self.suspect.clean,
            target,
            others,
            self.inversion,
            seed.child(target),
            families=("patch",) if patch else TRIED,
        )

    def _tried(self, sought: Sought, target: int, kind: str = "") -> list[TriedTrigger]:
        """Returns the suspected trigger, fresh ones beside it, and those of other classes."""
        seed = self.seed.child("triggers", target)
        shape, grid = self.suspect.model.shape, self.inversion.grid
        copies = _QUICK_COPIES if self.quick else _COPIES
        return triggers_of(sought, shape, grid, seed, copies=copies, searched=_SEARCHED, kind=kind)

    def _second(self, sought: Sought, target: int) -> Sought:
        """Seeks perturbations further, that the purified model ignores."""
        assert self.purified is not None
        return seek_second(
            sought,
            self.suspect.model,
            self.purified.model,
            self.suspect.clean,
            steps=self.inversion.steps,
            reach=self.inversion.reach,
            seed=self.seed.child("second", target),
        )

    def estimate(self) -> float:
        """Returns about how many seconds the audit will take, from a few steps of each loop."""
        # searches that are cut short find nothing that succeeds
        whole = replace(self, arrives=0.0)
        return rehearsed(whole.audit, self.suspect.model.mean.device)

    def _depth(self) -> Depth | None:
        """Returns what measures the purified model, if there is one."""
        if self.purified is None:
            return None
        seed = self.seed.child("retuning")
        return Depth(self.suspect.model, self.purified, seed=seed, quick=self.quick)

    def _described(self, trigger: TriedTrigger) -> AuditedTrigger:
        """Returns what is known of a trigger before a purified model is looked at."""
        return AuditedTrigger(
            name=trigger.name,
            target=self.suspect.named(trigger.target),
            role=trigger.role,
            beside=trigger.beside,
            on_suspect=trigger.success(self.suspect.model, self.suspect.held_out),
        )


def _fresh(triggers: Sequence[TriedTrigger]) -> list[TriedTrigger]:
    """Returns those that no model ever saw."""
    return [one for one in triggers if one.role == "fresh"]
