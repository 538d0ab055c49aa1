"""A training that was ended in the middle goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from remission.progress import listening
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Trained
from remission.training.snapshots import keeping
from remission.types import LabelledImages


class PowerCutError(Exception):
    """The end of a training in the middle."""


@dataclass
class Memory:
    """Keeps a snapshot every few steps."""

    every: int = 1
    kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    asked: int = 0
    names: list[str] = field(default_factory=list)

    def name(self, what: str) -> str:
        self.names.append(what)
        return f"{len(self.names)} {what}"

    def load(self, name: str) -> Mapping[str, Tensor] | None:
        return self.kept.get(name)

    def due(self) -> bool:
        self.asked += 1
        return self.asked % self.every == 0

    def save(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.kept = {name: {key: value.clone() for key, value in tensors.items()}}


def data() -> LabelledImages:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (50, 1, 8, 8), generator=draws, dtype=torch.uint8)
    return LabelledImages(images, torch.arange(50) % 4)


def model() -> nn.Module:
    torch.manual_seed(1)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 4),
    )
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(network: nn.Module, recipe: Recipe, cut: int | None = None, **options: object) -> Trained:
    """Trains; the power is cut after some steps."""

    def heard(what: str, done: int, total: int) -> None:
        if done == cut:
            raise PowerCutError

    with listening(heard):
        return fit(network, data(), recipe, seed=Seed(3), **options)  # type: ignore[arg-type]


RECIPES = {
    "sgd": Recipe(epochs=3, lr=0.1, schedule="one_cycle", batch_size=16, augment="crop_flip"),
    "warm": Recipe(epochs=3, lr=0.1, warmup=0.5, schedule="cosine", batch_size=16),
    "adam": Recipe(epochs=3, lr=0.01, optimizer="adam", batch_size=16, augment="crop"),
    "adamw": Recipe(epochs=2, lr=0.01, optimizer="adamw", weight_decay=0.1, batch_size=7),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize(("cut", "every"), [(1, 1), (4, 1), (5, 2), (5, 3), (6, 1)])
def test_it_ends_with_the_same_bits(recipe: Recipe, cut: int, every: int) -> None:
    whole, resumed = model(), model()
    expected = train(whole, recipe)
    memory = Memory(every)
    with keeping(memory), pytest.raises(PowerCutError):
        train(resumed, recipe, cut)
    assert bool(memory.kept) == (cut >= every)
    fresh, second = model(), Memory(10**6, memory.kept)
    with keeping(second):
        trained = train(fresh, recipe)
    assert trained.losses == expected.losses
    for key, value in whole.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key]), key


def test_steps_that_were_done_are_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, memory, steps = RECIPES["sgd"], Memory(), list[int]()
    with keeping(memory), pytest.raises(PowerCutError):
        train(model(), recipe, 7)
    step = torch.optim.SGD.step

    def counted(*arguments: object) -> object:
        steps.append(1)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    with keeping(Memory(10**6, memory.kept)):
        train(model(), recipe)
    assert len(steps) == 3 * 4 - 7


def test_what_a_transform_draws_is_drawn_again() -> None:
    def noisy(seed: int) -> object:
        draws = torch.Generator().manual_seed(seed)

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            return images + 0.1 * torch.randn(images.shape, generator=draws), labels

        return transform

    recipe, memory, whole, fresh = RECIPES["sgd"], Memory(), model(), model()
    train(whole, recipe, transform=noisy(5))
    with keeping(memory), pytest.raises(PowerCutError):
        train(model(), recipe, 6, transform=noisy(5))
    with keeping(Memory(10**6, memory.kept)):
        train(fresh, recipe, transform=noisy(5))
    assert torch.equal(whole[0].weight, fresh[0].weight)  # type: ignore[index]


def test_a_training_with_a_loss_of_its_own_keeps_nothing() -> None:
    memory = Memory()
    with keeping(memory):
        train(model(), RECIPES["sgd"], after_step=lambda: None)
    assert memory.kept == {}


def test_the_snapshot_of_another_model_is_left_alone() -> None:
    memory, whole, fresh = Memory(), model(), model()
    with keeping(memory), pytest.raises(PowerCutError):
        train(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), RECIPES["sgd"], 3)
    train(whole, RECIPES["sgd"])
    with keeping(Memory(10**6, memory.kept)):
        train(fresh, RECIPES["sgd"])
    assert torch.equal(whole[0].weight, fresh[0].weight)  # type: ignore[index]
