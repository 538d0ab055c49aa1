"""Warm-up, AdamW and images that change from epoch to epoch, against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Optimizer, Schedule, rate_at
from remission.types import LabelledImages
from tests.reference.adam import SlowAdam
from tests.reference.toy import (
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    recognise,
    schedule,
    toy_data,
)


def warmed(name: str, warm: int, step: int, total: int) -> float:
    """Returns the share of the rate: ``warm`` steps up in equal parts, then the schedule."""
    rising = [(k + 1) / (warm + 1) for k in range(warm)]
    falling = [schedule(name, k, total - warm) for k in range(total - warm)]
    return (rising + falling)[step]


@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize(("warmup", "warm"), [(0.0, 0), (0.3, 4), (0.9, 11), (0.99, 11)])
def test_the_rate_at_every_step(name: Schedule, warmup: float, warm: int) -> None:
    recipe = Recipe(epochs=4, lr=0.1, schedule=name, warmup=warmup)
    for step in range(12):
        wanted = warmed(name, warm, step, total=12)
        assert rate_at(recipe, step, 12) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "name", "warmup", "warm"),
    [
        ("adamw", "constant", 0.0, 0),
        ("adamw", "cosine", 0.4, 4),
        ("sgd", "one_cycle", 0.2, 2),
        ("adam", "constant", 0.5, 4),
    ],
)
def test_a_training_with_warm_up(
    optimizer: Optimizer, name: Schedule, warmup: float, warm: int
) -> None:
    model, data, decay = Toy(), toy_data(11), 0.0 if optimizer == "adam" else 0.3
    w, slow = flat(model), Slow.like(model)
    stepper = SlowSGD(0.02, 0.9, decay) if optimizer == "sgd" else SlowAdam(0.02, decay)
    recipe = Recipe(
        epochs=3, lr=0.02, optimizer=optimizer, weight_decay=decay, schedule=name, warmup=warmup,
        batch_size=4,
    )  # fmt: skip
    fit(model, data, recipe, seed=Seed(3))
    for step, batch in enumerate(model.seen):
        labels = data.labels[recognise(batch, data)[0]]

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = labels) -> Tensor:
            return cross_entropy(slow.logits(at, x), y)

        w = stepper.step(w, grad(loss, w), warmed(name, warm, step, total=9))
    assert_same(model, w, slow)


def test_the_decay_of_adamw_is_no_penalty() -> None:
    """Adam divides the penalty's gradient by its own length; AdamW's weights shrink by a share."""
    found = {}
    optimizers: tuple[Optimizer, ...] = ("adam", "adamw")
    for optimizer in optimizers:
        model = Toy()
        recipe = Recipe(epochs=2, lr=0.02, optimizer=optimizer, weight_decay=0.3, batch_size=4)
        fit(model, toy_data(11), recipe, seed=Seed(3))
        found[optimizer] = flat(model)
    assert float((found["adam"] - found["adamw"]).abs().max()) > 1e-3


def test_each_epoch_may_have_images_of_its_own() -> None:
    """One optimiser and one schedule over epochs of three, one and two steps."""
    model, data = Toy(), toy_data(16)
    parts = [data[:11], data[11:15], data[8:16]]
    w, slow, sgd = flat(model), Slow.like(model), SlowSGD(0.2, 0.8, 0.0)
    recipe = Recipe(epochs=3, lr=0.2, momentum=0.8, schedule="cosine", batch_size=4)
    trained = fit(model, parts, recipe, seed=Seed(3))
    assert [len(batch) for batch in model.seen] == [4, 4, 3, 4, 4, 4]
    shown, losses = [], []
    for step, batch in enumerate(model.seen):
        which = recognise(batch, data)[0]
        shown.append(which)
        labels = data.labels[which]
        losses.append(float(cross_entropy(slow.logits(w, batch, collect=False), labels)))

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = labels) -> Tensor:
            return cross_entropy(slow.logits(at, x), y)

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=6))
    assert_same(model, w, slow)
    assert sorted(shown[0] + shown[1] + shown[2]) == list(range(11))
    assert sorted(shown[3]) == list(range(11, 15))
    assert sorted(shown[4] + shown[5]) == list(range(8, 16))
    means = [sum(losses[:3]) / 3, losses[3], sum(losses[4:]) / 2]
    assert trained.losses == pytest.approx(means, rel=1e-6)


def test_the_same_images_in_every_epoch_are_one_set_of_images() -> None:
    data, models = toy_data(11), (Toy(), Toy())
    recipe = Recipe(epochs=2, lr=0.1, batch_size=4, augment="crop_flip")
    shown: list[LabelledImages | list[LabelledImages]] = [data, [data, data]]
    for model, images in zip(models, shown, strict=True):
        fit(model, images, recipe, seed=Seed(1))
    assert torch.equal(flat(models[0]), flat(models[1]))
    with pytest.raises(AssertionError, match="images for each epoch"):
        fit(Toy(), [data], recipe, seed=Seed(1))
