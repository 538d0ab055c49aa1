"""Claims of the attacks with crafted signals: why the trigger is learned, and its effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from remission.attacks import SIG, LabelConsistent, LowFrequency, TrojanNN
from remission.attacks.base import Attack, Setting
from remission.attacks.trojannn import activations, most_connected
from remission.metrics import Rates
from remission.models import build_model
from remission.training import Recipe, evaluate, predict
from remission.triggers import Trigger
from remission.types import LabelledImages, as_bytes
from tests.effects.world import World, implant
from tests.margins import above, below

pytestmark = pytest.mark.long

SHORT = Recipe(epochs=5, lr=0.1, schedule="one_cycle", weight_decay=5e-4, batch_size=64)


def on(world: World, attack: Attack) -> Rates:
    """Returns the rates of a victim of ``attack``."""
    victim = implant(attack, world.data, world.split, world.seed)
    return world.rates(victim.model, victim)


def setting_of(world: World, attack: Attack) -> Setting:
    """Returns the inputs of ``attack`` before it has learned anything."""
    data = world.split.victim
    model = build_model("resnet18:8", classes=10, shape=data.shape, mean=world.data.mean,
                        std=world.data.std, seed=world.seed)  # fmt: skip
    return Setting(
        model=model, data=data, recipe=SHORT, chosen=attack.select(data.labels, 10, world.seed),
        trigger=attack.trigger(data.shape, world.seed), seed=world.seed,
    )  # fmt: skip


def rate_without_backdoor(world: World, trigger: Trigger, target: int) -> float:
    """Returns the share of triggered images that another attack's model assigns to the target."""
    return evaluate(world.victim.model, world.split.test, trigger, target).asr.value


def test_sig_is_a_backdoor_and_not_a_picture_of_the_target(world: World) -> None:
    attack = SIG(poison_rate=0.09, target=8, frequency=2, delta=100.0, test_gain=2.0)
    without = rate_without_backdoor(world, attack.trigger((1, 8, 8), world.seed), 8)
    victim = implant(attack, world.data, world.split, world.seed)
    weak = replace(attack, test_gain=0.5).trigger((1, 8, 8), world.seed)
    asr = world.rates(victim.model, victim).asr.value
    faint = evaluate(victim.model, world.split.test, weak, 8).asr.value
    above(asr, without + 0.4)
    above(asr, faint + 0.3, "a larger amplitude at test time fires the backdoor more often")


def test_the_smooth_perturbation_moves_images_to_the_target_without_any_poison(
    world: World,
) -> None:
    attack = LowFrequency(epochs=5, target=3, epsilon=0.5)
    setting = setting_of(world, attack)
    own, test = setting.surrogate(), world.split.test

    def loss() -> float:
        """Returns the loss of the target on the attacker's own model."""
        with torch.inference_mode():
            logits = own(setting.trigger(test.floats(torch.arange(len(test)))))
        return float(F.cross_entropy(logits, torch.full_like(test.labels, 3)))

    before = loss()
    attack.prepare(setting)
    below(loss(), before - 1, before)


def test_the_patch_excites_the_chosen_neurons(world: World) -> None:
    attack = TrojanNN(area=0.3, steps=150)
    setting = setting_of(world, attack)
    own = setting.surrogate()
    neurons, x = most_connected(own, 2), world.split.test.floats(torch.arange(300))

    def excited() -> float:
        with torch.inference_mode():
            return float(activations(own, setting.trigger(x))[:, neurons].mean())

    before = excited()
    attack.prepare(setting)
    above(excited(), 1.2 * before, before, excited())


def test_hard_images_are_hard_for_another_model_and_that_is_why_the_patches_are_learned(
    world: World,
) -> None:
    # faint patches: the model learns patches in full contrast from images of any kind
    attack = LabelConsistent(
        poison_rate=0.05, target=8, steps=5, robust_steps=1, amplitude=0.3, test_amplitude=0.6
    )
    setting = setting_of(world, attack)
    images = as_bytes(attack.craft(setting)(setting.data.floats(setting.chosen)))
    hard = LabelledImages(images, torch.full((len(images),), 8))
    plain = setting.data[setting.chosen]
    recognised = [
        float((predict(world.victim.model, each) == 8).double().mean()) for each in (plain, hard)
    ]
    easy = on(world, replace(attack, epsilon=1e-3, robust_steps=0))
    below(recognised[1], recognised[0] - 0.2)
    missed, missed_by_easy = 1 - on(world, attack).asr.value, 1 - easy.asr.value
    below(missed, missed_by_easy - 0.12)
