"""Checks of the attacks that train the victim, which must respond to the trigger alone.

Parameters are those that 8x8 images and short trainings need.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from remission.attacks import LIRA, Attack, Bpp, InputAware, Victim, WaNet
from remission.models import build_model
from remission.triggers import Generated, Warp
from remission.types import as_float
from tests.effects.world import RECIPE, World
from tests.margins import above, below


def train(attack: Attack, epochs: int, world: World) -> Victim:
    """Returns a victim of ``attack``."""
    data, shape = world.data, world.data.train.shape
    model = build_model(
        "resnet18:8", classes=10, shape=shape, mean=data.mean, std=data.std, seed=world.seed
    )
    victim = attack(model, world.split.victim, replace(RECIPE, epochs=epochs), seed=world.seed)
    model.eval()
    return victim


def is_there(world: World, victim: Victim) -> None:
    """Checks that the victim is accurate and follows the trigger, which fools no other model."""
    rates = world.rates(victim.model, victim)
    above(rates.clean_acc.value, 0.8, rates)
    above(rates.asr.value, 0.7, rates)
    below(world.rates(world.exact, victim).asr.value, 0.4, "the trigger alone does nothing")


def others(world: World) -> Tensor:
    """Returns test images that are not of the target class."""
    test = world.split.test
    return as_float(test.images[test.labels != 0])


@torch.no_grad()
def share(victim: Victim, images: Tensor) -> float:
    """Returns the share of images that the victim assigns to the target class."""
    return float((victim.model(images).argmax(1) == victim.target).double().mean())


def bpp_implants(world: World) -> None:
    """Checks that another image's change does not fire the backdoor."""
    victim, x = train(Bpp(squeeze_num=2, poison_rate=0.2), 8, world), others(world)
    is_there(world, victim)
    z = x.roll(1, 0)
    below(share(victim, (x + victim.trigger(z) - z).clamp(0, 1)), 0.4)


def input_aware_implants(world: World) -> None:
    """Checks that a trigger made for another image does not work."""
    attack = InputAware(
        mask_epochs=2, filters=8, levels=1, lambda_norm=3.0, cross_ratio=0.6, poison_rate=0.25
    )
    victim, x = train(attack, 16, world), others(world)
    is_there(world, victim)
    trigger, z = victim.trigger, x.roll(1, 0)
    assert isinstance(trigger, Generated)
    below(float(trigger.mask(x).mean()), 0.3)
    below(share(victim, trigger.merge(x, trigger.pattern(z), trigger.mask(z))), 0.5)


def lira_implants(world: World) -> None:
    """Checks that the noise is within its bound, and that only the learned noise works."""
    attack = LIRA(
        eps=0.2, stage_one_epochs=3, generator_lr=0.003, filters=8, levels=2, poison_rate=0.2
    )
    victim, x = train(attack, 8, world), others(world)
    is_there(world, victim)
    assert float((victim.trigger(x) - x).abs().max()) <= attack.eps + 1e-6
    untrained = attack.trigger(world.data.train.shape, world.seed.child("trigger"))
    below(share(victim, untrained(x)), 0.5)


def wanet_implants(world: World) -> None:
    """Checks that a warp close to the trigger works only without the noise mode."""
    attack = WaNet(s=1.5, k=3, cross_ratio=1.0, poison_rate=0.3)
    victim, x = train(attack, 20, world), others(world)
    is_there(world, victim)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(len(x), *x.shape[2:], 2, generator=generator) * 2 - 1
    assert isinstance(victim.trigger, Warp)
    near = victim.trigger.noisy(x, noise)
    below(share(victim, near), 0.4)
    careless = train(replace(attack, cross_ratio=0.0), 8, world)
    above(share(careless, near), 0.6)
