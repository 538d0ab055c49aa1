"""Checks of the reactivations that perturb images. Parameters are those that 8x8 images need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remission.grid.stages.perturbed import PerturbedRates, measure
from remission.models import Classifier
from remission.reactivations import OBA, QRA, Alternative, InputReactivation, QRABlackBox
from tests.effects.world import World
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
    """Checks that images without the trigger reach the target in the victim, not in the control."""
    on, control = shown(world, Alternative(epsilon=0.4, lr=0.02), world.victim.model)
    above(on.asr_clean.value, control.asr_clean.value + 0.2, on, control)


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
