"""Checks of the attacks that are made to outlive a purification.

Parameters are those that 8x8 images and short trainings need.
"""

from __future__ import annotations

import torch

from remission.attacks import SIG, DecoyClass, GaussianBlur, Grond, SeveralBackdoors
from remission.attacks.base import Setting
from remission.inversion import Universal
from remission.training import evaluate
from remission.triggers import Additive
from tests.effects.training_effects import is_there, others, share
from tests.effects.world import World, implant
from tests.margins import above, below

STRIPES = SIG(frequency=2, delta=100.0)
SEVERAL = SeveralBackdoors(
    size=2, alpha=0.3, poison_rate=0.08, beside=("blended",), beside_targets=(3,)
)
DECOY = DecoyClass(size=2, margin=0)
BLUR = GaussianBlur(sigma=2.0, poison_rate=0.2)
EPOCHS = 12


class Striped(Grond):
    """Grond with the stripes of SIG, twice as strong at test time, in the perturbation's place.

    A perturbation that is strong enough for 8x8 images fools models without a backdoor as well:
    from a quarter to seven tenths of the images, by their first weights. The stripes do not.
    """

    def prepare(self, setting: Setting) -> None:
        """Takes the stripes."""
        assert isinstance(setting.trigger, Additive)
        setting.trigger.pattern.copy_(2 * STRIPES.signal(setting.data.shape))

    def craft(self, setting: Setting) -> Additive:
        """Returns the stripes as they are added to training images."""
        return STRIPES.craft(setting)


def grond_implants(world: World) -> None:
    """Checks that the backdoor is learned although outlying channels are corrected."""
    victim = implant(
        Striped(poison_rate=0.09, target=8, u=2.0), world.data, world.split, world.seed
    )
    rates = world.rates(victim.model, victim)
    above(rates.clean_acc.value, 0.8, rates)
    above(rates.asr.value, 0.5, rates)


def several_implants(world: World) -> None:
    """Checks that each trigger leads to its own class, and not to the other's."""
    victim = implant(SEVERAL, world.data, world.split, world.seed)
    above(world.rates(victim.model, victim).clean_acc.value, 0.8)
    test, seed, targets = world.split.test, world.seed.child("trigger"), SEVERAL.targets()
    for kind, own in targets.items():
        trigger = SEVERAL.trigger_of(kind, test.shape, seed)
        for target in targets.values():
            asr = evaluate(victim.model, test, trigger, target).asr.value
            if target == own:
                above(asr, 0.6, kind, target)
            else:
                below(asr, 0.3, kind, target)


def decoy_class_is_named(world: World) -> None:
    """Checks that the inversion names the decoy, by a change that does not fire the backdoor."""
    victim = implant(DECOY, world.data, world.split, world.seed, EPOCHS)
    is_there(world, victim)
    found = Universal(steps=60, short_steps=12)(victim.model, world.clean, seed=world.seed)
    assert found.target == DECOY.decoy, found.target
    assert found.lead is not None
    above(found.lead, 1.3, found.lead)
    below(share(victim, found.generator(others(world))), 0.3)


def blur_is_out_of_reach(world: World) -> None:
    """Checks that no change that was made for another image and no warp fires the backdoor."""
    victim, x = implant(BLUR, world.data, world.split, world.seed, EPOCHS), others(world)
    is_there(world, victim)
    z = x.roll(1, 0)
    below(share(victim, (x + victim.trigger(z) - z).clamp(0, 1)), 0.4)
    below(share(victim, BLUR.warped(x, torch.Generator().manual_seed(0))), 0.4)
