"""Checks of the reactivations that perturb images. Parameters are those that 8x8 images need."""

from __future__ import annotations

from remission.grid.perturbed import Reached, measure
from remission.models import Classifier
from remission.reactivations import InputReactivation

from .world import World


def shown(world: World, method: InputReactivation, model: Classifier) -> tuple[Reached, Reached]:
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
