"""The retuning attack, replayed, and which of the attacker's images it poisons."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from remission.errors import SpecError
from remission.reactivations import Retuning
from remission.seeding import Seed
from tests.reference.adam import SlowAdam
from tests.reference.toy import (
    HEAD,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    by_hand,
    corner,
    cross_entropy,
    flat,
    grad,
    recognise,
    toy_data,
)

TARGET = 1


def poisoned_images(model: Toy, count: int) -> tuple[set[int], list[int]]:
    """Returns the images with the trigger in the first epoch, and all images in it."""
    shown: list[int] = []
    poisoned: set[int] = set()
    for batch in model.seen:
        which, triggered = recognise(batch, toy_data(count))
        shown += which
        poisoned |= {i for i, yes in zip(which, triggered, strict=True) if yes}
        if len(shown) >= count:
            break
    return poisoned, shown


@pytest.mark.parametrize("budget", [0, 1, 3])
def test_retuning(budget: int) -> None:
    purified, data = Toy(), toy_data(11)
    method = Retuning(budgets=(budget,), epochs=2, batch_size=4)
    model = method(purified, data, corner(), TARGET, budget=budget, seed=Seed(0))
    assert isinstance(model, Toy)
    w, slow, sgd = flat(purified), Slow.like(purified), SlowSGD(0.01, 0.9, 0.0)
    assert len(model.seen) == 6
    for batch in model.seen:
        which, triggered = recognise(batch, data)
        y = data.labels[which].clone()
        y[torch.tensor(triggered)] = TARGET
        g = grad(lambda at, x=batch, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = sgd.step(w, g)  # constant learning rate
    assert_same(model, w, slow)
    poisoned, shown = poisoned_images(model, 11)
    assert len(poisoned) == budget
    assert sorted(shown) == list(range(11)), "replaced, not added"
    assert all(int(data.labels[i]) != TARGET for i in poisoned)


@pytest.mark.parametrize(("layers", "optimizer"), [("head", "sgd"), ("all", "adam")])
def test_retuning_of_the_head_alone_and_by_adam(
    layers: Literal["all", "head"], optimizer: Literal["sgd", "adam"]
) -> None:
    purified, data = Toy(), toy_data(11)
    method = Retuning(epochs=2, batch_size=4, layers=layers, optimizer=optimizer, lr=0.005)
    model = method(purified, data, corner(), TARGET, budget=3, seed=Seed(0))
    assert isinstance(model, Toy)
    w, slow = flat(purified), Slow.like(purified)
    step = (SlowAdam(0.005) if optimizer == "adam" else SlowSGD(0.005, 0.9, 0.0)).step
    head = layers == "head"
    trained = torch.ones(len(w), dtype=torch.bool)
    trained[: HEAD.start] = not head
    for batch in model.seen:
        which, triggered = recognise(batch, data)
        y = data.labels[which].clone()
        y[torch.tensor(triggered)] = TARGET

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y) -> Tensor:
            return cross_entropy(slow.logits(at, x, train=not head), y)

        w = torch.where(trained, step(w, grad(loss, w)), w)
    assert_same(model, w, slow)


def test_the_same_images_stay_poisoned_in_every_epoch() -> None:
    data = toy_data(11)
    method = Retuning(epochs=3, batch_size=11)
    model = method(Toy(), data, corner(), TARGET, budget=4, seed=Seed(0))
    assert isinstance(model, Toy)
    chosen = []
    for batch in model.seen:
        which, triggered = recognise(batch, data)
        chosen.append({i for i, yes in zip(which, triggered, strict=True) if yes})
    assert len(chosen) == 3
    assert chosen[0] == chosen[1] == chosen[2]


def test_a_smaller_budget_is_a_part_of_a_larger_one_for_every_model() -> None:
    data = toy_data(30)
    others = int((data.labels != TARGET).sum())
    chosen = []
    for number, budget in enumerate((0, 1, 2, 5, 9, others)):
        model = Retuning(epochs=1)(
            Toy(seed=number), data, corner(), TARGET, budget=budget, seed=Seed(4)
        )
        assert isinstance(model, Toy)
        chosen.append(poisoned_images(model, 30)[0])
        assert len(chosen[-1]) == budget
    for smaller, larger in pairwise(chosen):
        assert smaller < larger
    other = Retuning(epochs=1)(Toy(), data, corner(), TARGET, budget=5, seed=Seed(5))
    assert isinstance(other, Toy)
    assert poisoned_images(other, 30)[0] != chosen[3], "another seed chooses others"


def test_a_budget_beyond_the_attackers_images_is_the_users_mistake() -> None:
    data = toy_data(11)
    others = int((data.labels != TARGET).sum())
    with pytest.raises(SpecError, match=f"budget of {others + 1} .* {others} images outside"):
        Retuning()(Toy(), data, corner(), TARGET, budget=others + 1, seed=Seed(0))


def test_the_attackers_images_stay_as_they_are() -> None:
    data, again = toy_data(11), toy_data(11)
    Retuning(epochs=1)(Toy(), data, corner(), TARGET, budget=3, seed=Seed(0))
    assert torch.equal(data.images, again.images)
    assert torch.equal(data.labels, again.labels)
    assert not torch.equal(by_hand(data.images), data.images)
