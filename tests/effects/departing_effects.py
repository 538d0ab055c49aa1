"""Checks of the purifiers that leave the neighbourhood of the backdoored weights.

Parameters are those that 8x8 images and short trainings need.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from remission.models import Classifier
from remission.purifiers import D3, FT, TSC, UNDO, Purifier, WeightDistortion, WeightDistReg
from tests.effects.world import World
from tests.margins import above, below

DETOXIFIED = D3(epochs=30, lr=0.3, batch_size=32, augment="none")
DISTORTED = WeightDistortion(sigma=0.1, epochs=20, lr=1e-2, batch_size=32, augment="none")
DRIVEN = WeightDistReg(alpha=50.0, epochs=20, lr=1e-2, batch_size=32, augment="none")
WALKED = TSC(rounds=3, epochs=8, lr=0.2, tune_epochs=0, batch_size=32, augment="none")
TUNED = FT(epochs=10, lr=0.02, batch_size=32, augment="none")


STUDENT = UNDO(base=TUNED, epochs=20, lr=0.05, batch_size=32, augment="none")


def purified(world: World, method: Purifier) -> Classifier:
    """Returns the purified victim."""
    return method(world.victim.model, world.clean, seed=world.seed).model


@torch.no_grad()
def distance(world: World, model: Classifier) -> float:
    """Returns the distance from the victim, over all weights."""
    pairs = zip(model.parameters(), world.victim.model.parameters(), strict=True)
    return float(torch.stack([(a - b).square().sum() for a, b in pairs]).sum().sqrt())


def is_clean(world: World, model: Classifier) -> None:
    """Checks that most of the backdoor is gone and that clean accuracy stays."""
    rates = world.rates(model)
    above(rates.clean_acc.value, 0.8, rates)
    below(rates.asr.value, 0.5, rates)


def d3_leaves_the_head(world: World) -> None:
    """Checks that the head keeps its length and is at least as far away as a random head."""
    model = purified(world, DETOXIFIED)
    old, new = world.victim.model.final_linear.weight, model.final_linear.weight
    with torch.no_grad():
        below(abs(float(new.norm() / old.norm()) - 1), 1e-4)
        above(float((new - old).norm() / old.norm()), 1.1)
    is_clean(world, model)


def d3_is_driven_away(world: World) -> None:
    """Checks that the head goes farther where the clean loss has less weight."""
    method = replace(DETOXIFIED, epochs=10, lr=0.05)
    old = world.victim.model.final_linear.weight
    bound, free = (
        float((purified(world, at).final_linear.weight - old).detach().norm() / old.detach().norm())
        for at in (replace(method, lambda_clean=1e6), replace(method, lambda_clean=2.0))
    )
    above(free, bound + 0.2, free, bound)


def weight_distortion_starts_elsewhere(world: World) -> None:
    """Checks that it ends far from the victim, accurate, and with little of the backdoor."""
    model = purified(world, DISTORTED)
    above(distance(world, model), 3 * distance(world, purified(world, TUNED)))
    is_clean(world, model)


def weight_dist_reg_goes_away(world: World) -> None:
    """Checks that it ends farther from the victim than without the distance in its objective."""
    model = purified(world, DRIVEN)
    plain = purified(world, replace(DRIVEN, alpha=0.0))
    above(distance(world, model), 2 * distance(world, plain) + 1)
    is_clean(world, model)


def tsc_leaves_the_backdoor(world: World) -> None:
    """Checks that it ends far from the victim, accurate, and with little of the backdoor.

    The ASR is the mean of three runs: single ones were between 0.04 and 0.60 on one victim.
    """
    victim, seeds = world.victim.model, [world.seed.child("run", number) for number in range(3)]
    models = [WALKED(victim, world.clean, seed=seed).model for seed in seeds]
    above(distance(world, models[0]), 2 * distance(world, purified(world, TUNED)))
    rates = [world.rates(model) for model in models]
    above(min(each.clean_acc.value for each in rates), 0.8, rates)
    below(sum(each.asr.value for each in rates) / 3, 0.5, rates)


def undo_starts_elsewhere(world: World) -> None:
    """Checks that the blend lies farther from the victim, the more so the larger its alpha."""
    near, half, fresh = (
        distance(world, purified(world, replace(STUDENT, alpha=alpha, epochs=0)))
        for alpha in (0.0, 0.5, 1.0)
    )
    above(half, 3 * near, half, near)
    above(fresh, 1.5 * half, fresh, half)


def undo_takes_over_answers(world: World) -> None:
    """Checks that a student of fresh weights learns the answers to clean images, and no more."""
    fresh = world.rates(purified(world, replace(STUDENT, alpha=1.0, epochs=0)))
    below(fresh.clean_acc.value, 0.5, fresh)
    is_clean(world, purified(world, replace(STUDENT, alpha=1.0)))
