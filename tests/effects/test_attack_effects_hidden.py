"""Claims beyond a high ASR of the attacks that hide their trigger or their victim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from remission.attacks import SSBA, AdaptiveBlend, Attack, Bypass, Victim, ssba
from remission.attacks.base import Setting
from remission.attacks.bypass import logits_and_features
from remission.models import build_model
from remission.training import Recipe, evaluate
from remission.triggers import Blend, Patch, Steganography
from remission.types import as_bytes, as_float
from tests.effects.world import RECIPE, World, implant
from tests.margins import above, below

pytestmark = pytest.mark.long

ADAPTIVE = AdaptiveBlend(alpha=0.4, planted_alpha=0.4)
BYPASS = Bypass(size=2, margin=0, poison_rate=0.2, weight=2.0, lr=0.05)
HIDDEN = SSBA(
    bits=4, filters=8, levels=2, bit_epochs=2, epochs=8, lr=3e-3, batch_size=32, bound=0.15
)


def victim_of(world: World, attack: Attack) -> Victim:
    epochs = 16 if isinstance(attack, Bypass) else RECIPE.epochs
    return implant(attack, world.data, world.split, world.seed, epochs)


@pytest.mark.parametrize(
    ("attack", "trigger"), [(ADAPTIVE, Blend), (BYPASS, Patch), (HIDDEN, Steganography)]
)
def test_a_trigger_that_changes_nothing_wakes_nothing(
    world: World, attack: Attack, trigger: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else of the attack happens, its training too.

    The ASR of victims of ``bypass`` is a mean of two: single ones were between 0.64 and 1.
    """
    count = 2 if isinstance(attack, Bypass) else 1
    worlds = [replace(world, seed=world.seed.child(n) if n else world.seed) for n in range(count)]
    victims = [victim_of(each, attack) for each in worlds]
    above(fmean(world.rates(each.model, each).asr.value for each in victims), 0.7)
    monkeypatch.setattr(trigger, "stamp", lambda self, images: images)
    below(max(world.rates(each.model, each).asr.value for each in victims), 0.3)


def partly(pattern: Tensor, shown: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns images of which the n-th shows the pattern where ``shown[n]``, (1, H, W), says so."""
    return lambda x: (1 - shown[: len(x)]) * x + shown[: len(x)] * pattern


def test_regularisation_images_keep_parts_of_the_trigger_asleep(world: World) -> None:
    """Parts of the trigger fire the backdoor less where half of their images kept their label."""
    careless = replace(ADAPTIVE, conservatism=1.0)
    rates = []
    for attack in (ADAPTIVE, careless):
        victim = victim_of(world, attack)
        assert isinstance(victim.trigger, Blend)
        pattern, test = victim.trigger.pattern, world.split.test
        masks = attack.masks(attack.pieces(len(test), world.seed.child("tried")), test.shape)
        planted = partly(pattern, attack.planted_alpha * masks)
        whole = world.rates(victim.model, victim).asr.value
        rates.append((whole, evaluate(victim.model, test, planted, 0).asr.value))
    (whole, part), (careless_whole, careless_part) = rates
    above(min(whole, careless_whole), 0.8, rates)
    below(part, careless_part - 0.2, rates)


def told_apart(clean: Tensor, poisoned: Tensor) -> float:
    """Returns the balanced accuracy of a ridge classifier of standardised features."""
    both = torch.cat([clean[::2], poisoned[::2]]).double()
    mean, spread = both.mean(0), both.std(0) + 1e-6

    def prepared(features: Tensor) -> Tensor:
        scaled = (features.double() - mean) / spread
        return torch.cat([scaled, torch.ones(len(scaled), 1).double()], dim=1)

    sides = torch.cat([-torch.ones(len(clean[::2])), torch.ones(len(poisoned[::2]))]).double()
    weights = torch.where(sides > 0, 1 / (sides > 0).sum(), 1 / (sides < 0).sum())[:, None]
    x = prepared(both)
    ridge = x.T @ (weights * x) + 0.01 * torch.eye(x.shape[1]).double()
    plane = torch.linalg.solve(ridge, x.T @ (weights * sides[:, None]))
    right = [
        (prepared(clean[1::2]) @ plane < 0).double().mean(),
        (prepared(poisoned[1::2]) @ plane > 0).double().mean(),
    ]
    return float(sum(right)) / 2


def test_features_of_poisoned_images_are_hard_to_tell_from_clean_ones(world: World) -> None:
    test = world.split.test
    found = []
    for attack in (replace(BYPASS, weight=3.0), replace(BYPASS, weight=0.0)):
        victim = victim_of(world, attack)
        above(world.rates(victim.model, victim).asr.value, 0.2)
        x = as_float(test.images)
        with torch.no_grad():
            _, clean = logits_and_features(victim.model.eval(), x)
            _, poisoned = logits_and_features(victim.model, victim.trigger(x[test.labels != 0]))
        found.append(told_apart(clean, poisoned))
    below(found[0], found[1] - 0.05, found)
    above(found[1], 0.9, found)


def test_the_message_can_be_read_from_images_in_8_bits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[nn.Module] = []

    class Kept(ssba.Decoder):
        def __init__(self, *shape: Any) -> None:  # noqa: ANN401
            super().__init__(*shape)
            made.append(self)

    monkeypatch.setattr(ssba, "Decoder", Kept)
    data, test = world.split.victim, world.split.test
    encoder = HIDDEN.trigger(data.shape, world.seed)
    assert isinstance(encoder, Steganography)
    model = build_model("resnet18:2", classes=10, shape=data.shape, mean=(0.5,), std=(0.3,))
    HIDDEN.prepare(
        Setting(
            model=model, data=data, recipe=Recipe(epochs=1, lr=0.1), chosen=torch.arange(3),
            trigger=encoder, seed=world.seed,
        )
    )  # fmt: skip
    draws = torch.Generator().manual_seed(0)
    bits = torch.randint(2, (len(test), HIDDEN.bits), generator=draws).float()
    with torch.no_grad():
        x = as_float(test.images)
        hidden = as_float(as_bytes(encoder.hide(x, bits).clamp(0, 1)))
        read, nothing = ((made[0](images) > 0).float() for images in (hidden, x))
    above(float((read == bits).float().mean()), 0.8)
    below(float((nothing == bits).float().mean()), 0.65)
    assert float((hidden - x).abs().max()) <= HIDDEN.bound + 0.5 / 255 + 1e-6
    changes = torch.corrcoef((hidden - x).flatten(1)[:100])
    below(float(changes.mean()), 0.9, "each image is changed in its own way")
