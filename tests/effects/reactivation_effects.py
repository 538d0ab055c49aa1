"""Checks of reactivations, most of which perturb images. Parameters are those of 8x8 images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any, Literal

from remission.attacks import SIG
from remission.grid.stages.perturbed import PerturbedRates, measure
from remission.inversion import KnownSource
from remission.models import Classifier
from remission.purifiers import EP
from remission.reactivations import (
    OBA,
    QRA,
    Alternative,
    InputReactivation,
    QRABlackBox,
    Retuning,
)
from tests.effects.world import World, implant
from tests.margins import above, below

Check = Callable[[World], None]


def shown(
    world: World, method: InputReactivation, model: Classifier
) -> tuple[PerturbedRates, PerturbedRates]:
    """Returns the rates of ``model`` and of the control under a perturbation made for ``model``."""
    victim = world.victim
    made = method(
        model,
        world.split.attacker,
        victim.trigger,
        victim.target,
        budget=method.tries()[0],
        seed=world.seed,
        victim=victim.model,
        control=world.control,
    )
    on, control = (
        measure(
            at, world.split.test, made.perturbation, victim.trigger, victim.target,
            triggered=method.triggered,
        )
        for at in (model, world.control)
    )  # fmt: skip
    return on, control


PARAMETERS: dict[str, Any] = {
    "epsilon": 0.3, "width": 64, "budgets": (60,), "batch_size": 32, "alpha": 1.0,
    "teacher_epochs": 10,
}  # fmt: skip


def reactivates(method: InputReactivation) -> Check:
    """Checks that perturbed triggered images fool a model in remission, and no other model."""

    def check(world: World) -> None:
        below(world.rates(world.in_remission).asr.value, 0.12)
        on, control = shown(world, method, world.in_remission)
        above(on.rates.asr.value, 0.2, on)
        below(control.rates.asr.value, 0.2, control)

    return check


def alternative_fires_the_backdoor(world: World) -> None:
    """Checks that images without the trigger reach the target in the victim, not in the control.

    The difference is the mean of two runs: single ones were between 0.25 and 0.9.
    """
    worlds = (world, replace(world, seed=world.seed.child("again")))
    runs = [shown(each, Alternative(epsilon=0.4, lr=0.02), world.victim.model) for each in worlds]
    above(fmean(on.asr_clean.value - control.asr_clean.value for on, control in runs), 0.1, runs)


def crafted_images_revive(world: World) -> None:
    """Checks that five crafted images of a clean-label attack wake it, as five relabelled ones do.

    Relabelled images teach the trigger to a control, too, and crafted ones much less: at test time
    the trigger has twice the amplitude that the crafted images have. Five images are few, so that
    each rate is the mean over three draws.
    """
    attack = SIG(poison_rate=0.09, target=8, frequency=2, delta=100.0, test_gain=2.0)
    victim = implant(attack, world.data, world.split, world.seed)
    exact = EP(epochs=10, lr=0.02, batch_size=32, augment="none")(
        victim.model, world.clean, seed=world.seed, trigger=KnownSource(victim.trigger)
    ).model
    asleep = replace(world, victim=victim, exact=exact).asleep(0.2)  # exact: 0.01 to 0.11

    def asr(model: Classifier, poisons: Literal["own", "relabelled"]) -> float:
        found = []
        for number in range(3):
            method = Retuning(poisons=poisons, seed=number, epochs=20, lr=0.02, batch_size=32)
            retuned = method(
                model, world.split.attacker, victim.trigger, victim.target, budget=5,
                seed=world.seed, crafted=victim.crafted,
            )  # fmt: skip
            found.append(world.rates(retuned, victim).asr.value)
        return fmean(found)

    above(asr(asleep, "own"), world.rates(asleep, victim).asr.value + 0.05)
    above(asr(world.control, "relabelled"), asr(world.control, "own") + 0.2)


qra_reactivates = reactivates(QRA(**PARAMETERS, epochs=20))
qra_blackbox_reactivates = reactivates(QRABlackBox(**PARAMETERS, rounds=2, epochs=8))
qra_blackbox_reactivates_by_labels = reactivates(
    QRABlackBox(**PARAMETERS, rounds=2, epochs=8, answers="labels")
)
oba_reactivates = reactivates(OBA(epsilon=0.2, epochs=10, batch_size=32))
oba_reactivates_by_queries = reactivates(OBA(epsilon=0.2, mode="query", queries=6000, images=40))
oba_reactivates_by_transfer = reactivates(
    OBA(epsilon=0.2, mode="transfer", epochs=10, batch_size=32, surrogates=("ep",))
)
