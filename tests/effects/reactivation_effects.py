"""Checks of the reactivations that perturb images. Parameters are those that 8x8 images need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remission.grid.stages.perturbed import PerturbedRates, measure
from remission.models import Classifier
from remission.purifiers import FST
from remission.reactivations import OBA, QRA, Alternative, InputReactivation, QRABlackBox
from tests.effects.world import World

Check = Callable[[World], None]


def shown(
    world: World, method: InputReactivation, model: Classifier
) -> tuple[PerturbedRates, PerturbedRates]:
    """What the perturbation made for ``model`` does to it, and to the never-backdoored model."""
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


WAKING: dict[str, Any] = {
    "epsilon": 0.2, "width": 64, "budgets": (60,), "batch_size": 32, "alpha": 1.0,
    "teacher_epochs": 20,
}  # fmt: skip


def wakes(method: InputReactivation) -> Check:
    """A model that is only in remission gives in to perturbed triggered images, no other does."""

    def check(world: World) -> None:
        purifier = FST(epochs=20, lr=0.1, batch_size=32, augment="none", alpha=0.5)
        model = purifier(world.victim.model, world.clean, seed=world.seed).model
        assert world.rates(model).asr.value < 0.15
        on, control = shown(world, method, model)
        assert on.rates.asr.value > 0.3, on  # how far it comes differs by processor
        assert control.rates.asr.value < 0.15, control

    return check


def alternative_fires_the_backdoor(world: World) -> None:
    """Images without the trigger reach the target in the victim, and not in the control."""
    on, control = shown(world, Alternative(epsilon=0.4, lr=0.02), world.victim.model)
    assert on.asr_clean.value > 0.5, on
    assert on.asr_clean.value > control.asr_clean.value + 0.3, (on, control)


qra_wakes = wakes(QRA(**WAKING, epochs=30))
qra_blackbox_wakes = wakes(QRABlackBox(**WAKING, epochs=15))
qra_blackbox_wakes_by_labels = wakes(QRABlackBox(**WAKING, epochs=15, answers="labels"))
oba_wakes = wakes(OBA(epsilon=0.2, epochs=10, batch_size=32))
oba_wakes_by_queries = wakes(OBA(epsilon=0.2, mode="query", queries=6000, images=40))
oba_wakes_by_transfer = wakes(OBA(epsilon=0.2, mode="transfer", epochs=10, batch_size=32))
