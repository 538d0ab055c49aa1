"""The victim of a clean-label attack has some of the images that were crafted for it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from remission.attacks import SIG, Attack, BadNets, CleanLabel, LabelConsistent, Victim
from remission.attacks.base import Setting
from remission.attacks.poisoning import Change
from remission.method import method
from remission.models import build_model
from remission.reactivations import Retuning
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Patch
from remission.triggers.patch import checkerboard
from remission.types import LabelledImages

SHAPE, CLASSES = (1, 8, 8), 3
RECIPE = Recipe(epochs=1, lr=0.1, batch_size=30)


@method
class Dark(CleanLabel):
    """A user's own clean-label attack, written before victims had crafted images."""

    name: ClassVar[str] = "dark"
    paper: ClassVar[str] = "a user's own"

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Patch:
        """Makes a patch."""
        del seed
        return checkerboard(shape, 3, 0)

    def craft(self, setting: Setting) -> Change:
        """Halves the pixels."""
        del setting
        return lambda images: images / 2


def clean_images(count: int) -> LabelledImages:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
    return LabelledImages(images, torch.arange(count) % CLASSES)


def victim_of(attack: Attack, data: LabelledImages, number: int = 0) -> Victim:
    seed = Seed(number)
    model = build_model(
        "resnet18:2", classes=CLASSES, shape=SHAPE, mean=(0.5,), std=(0.3,), seed=seed
    )
    return attack(model, data, RECIPE, seed=seed)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_they_are_the_poisoned_training_images(dtype: torch.dtype) -> None:
    data = clean_images(60)
    half = (data.images.float() / 2).round().to(torch.uint8)
    given = data if dtype == torch.uint8 else LabelledImages(data.images / 255, data.labels)
    victim = victim_of(Dark(poison_rate=0.2, target=2), given)
    crafted = victim.crafted
    assert crafted is not None
    assert crafted.images.dtype == torch.uint8
    assert crafted.labels.tolist() == [2] * 12
    close = [
        next(i for i in range(60) if int((image.int() - half[i].int()).abs().max()) <= 1)
        for image in crafted.images
    ]
    assert sorted(close) == victim.poisoned.tolist(), "all of them, each once"
    assert bool((data.labels[close] == 2).all())


@pytest.mark.parametrize(
    "attack",
    [
        SIG(frequency=2, poison_rate=0.2, test_gain=3.0),
        LabelConsistent(steps=2, robust_steps=0, poison_rate=0.2, amplitude=0.5),
    ],
    ids=lambda attack: attack.name,
)
def test_they_are_crafted_and_not_triggered(attack: Attack) -> None:
    """With the amplitude of training images, which may be another than at test time."""
    data = clean_images(60)
    victim = victim_of(attack, data)
    assert victim.crafted is not None
    assert len(victim.crafted) == len(victim.poisoned) == 12
    with torch.no_grad():
        triggered = victim.trigger(data.floats(victim.poisoned)).mul(255).round().to(torch.uint8)
    for image in victim.crafted.images:
        assert not any(torch.equal(image, other) for other in triggered)
        assert not any(torch.equal(image, other) for other in data.images)


def test_some_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remission.attacks.base.KEPT", 5)
    data, attack = clean_images(60), Dark(poison_rate=0.3)
    found = []
    for number in (0, 0, 1):
        crafted = victim_of(attack, data, number).crafted
        assert crafted is not None
        assert len(crafted) == len(crafted.labels) == 5
        found.append(crafted.images)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_other_attacks_have_none() -> None:
    assert victim_of(BadNets(size=2, poison_rate=0.2), clean_images(60)).crafted is None


VERSIONS: list[tuple[type[Attack], Any]] = [
    (SIG, 2), (LabelConsistent, 2), (Dark, 2), (BadNets, 1)
]  # fmt: skip


@pytest.mark.parametrize(("attack", "version"), VERSIONS)
def test_victims_that_were_stored_without_them_are_computed_anew(
    attack: type[Attack], version: object
) -> None:
    assert attack.version == version


def test_retuning_takes_them() -> None:
    data, attack = clean_images(60), Dark(poison_rate=0.2, target=2)
    victim = victim_of(attack, data)
    method, seen = Retuning(epochs=1, budgets=(4,)), []
    images = data[:30]

    def watch(module: object, args: tuple[torch.Tensor, ...]) -> None:
        del module
        seen.append(args[0])

    hook = victim.model.register_forward_pre_hook(watch)
    method(victim.model, images, victim.trigger, victim.target, budget=4, seed=Seed(0),
           crafted=victim.crafted)  # fmt: skip
    hook.remove()
    shown = [image for batch in seen for image in batch.mul(255).round().to(torch.uint8)]
    assert len(shown) == 30
    assert victim.crafted is not None
    crafted = [
        sum(bool(torch.equal(image, other)) for other in victim.crafted.images) for image in shown
    ]
    assert sum(crafted) == 4
