"""The training loop against SGD written out, and the batches that it makes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.errors import DivergedError
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.training.loop import Schedule, learning_rate
from remission.types import LabelledImages
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


@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
def test_sgd_with_momentum_decay_and_schedule(name: Schedule) -> None:
    model, data = Toy(), toy_data(11)
    w, slow, sgd = flat(model), Slow.like(model), SlowSGD(lr=0.2, momentum=0.8, decay=0.01)
    recipe = Recipe(epochs=3, lr=0.2, momentum=0.8, weight_decay=0.01, schedule=name, batch_size=4)
    trained = fit(model, data, recipe, seed=Seed(3))
    assert [len(batch) for batch in model.seen] == [4, 4, 3] * 3
    losses = []
    for step, batch in enumerate(model.seen):
        labels = data.labels[recognise(batch, data)[0]]
        losses.append(float(cross_entropy(slow.logits(w, batch, collect=False), labels)))

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = labels) -> Tensor:
            return cross_entropy(slow.logits(at, x), y)

        w = sgd.step(w, grad(loss, w), schedule(name, step, total=9))
    assert_same(model, w, slow)
    means = [sum(losses[start : start + 3]) / 3 for start in (0, 3, 6)]
    assert trained.losses == pytest.approx(means, rel=1e-6)  # the loss is summed in fp32


def test_the_learning_rate_after_the_last_step_is_zero() -> None:
    assert learning_rate("cosine", 1.0) == pytest.approx(0, abs=1e-15)
    assert learning_rate("one_cycle", 1.0) == pytest.approx(0, abs=1e-15)
    assert max(learning_rate("one_cycle", i / 1000) for i in range(1001)) == pytest.approx(1)


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    data = toy_data(11)
    model = Toy()
    fit(model, data, Recipe(epochs=2, lr=0.01, batch_size=4), seed=Seed(0))
    orders = [recognise(torch.cat(part), data)[0] for part in (model.seen[:3], model.seen[3:])]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(11))
    assert orders[0] != orders[1]


def test_a_last_batch_of_one_image_is_left_out_and_does_not_count_as_a_step() -> None:
    model, data = Toy(), toy_data(9)
    w, slow, sgd = flat(model), Slow.like(model), SlowSGD(lr=0.1)
    recipe = Recipe(epochs=2, lr=0.1, momentum=0.0, schedule="cosine", batch_size=4)
    fit(model, data, recipe, seed=Seed(0))
    assert [len(batch) for batch in model.seen] == [4, 4, 4, 4]
    for step, batch in enumerate(model.seen):
        labels = data.labels[recognise(batch, data)[0]]
        g = grad(lambda at, x=batch, y=labels: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step, total=4))
    assert_same(model, w, slow)


def test_only_parameters_that_require_gradients_move() -> None:
    model = Toy()
    model.conv.requires_grad_(False)
    before = model.conv.weight.detach().clone(), model.linear.weight.detach().clone()
    fit(model, toy_data(), Recipe(epochs=1, lr=0.1, weight_decay=0.1), seed=Seed(0))
    assert torch.equal(model.conv.weight, before[0])
    assert not torch.equal(model.linear.weight, before[1])


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DivergedError, match="smaller lr"):
        fit(Toy(), toy_data(), Recipe(epochs=9, lr=1e200), seed=Seed(0))


@pytest.mark.parametrize("augment", ["crop", "crop_flip"])
@pytest.mark.parametrize("shape", [(8, 8), (16, 11)])
def test_an_augmented_image_is_a_window_of_the_zero_padded_image(
    augment: str, shape: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (40, 2, *shape), generator=generator).to(torch.uint8)
    data = LabelledImages(images, torch.arange(40))  # the label says which image it is
    flipped, offsets = set(), set()
    for batch, labels in batches(data, 16, generator=Seed(1).generator(), augment=augment):  # type: ignore[arg-type]
        assert batch.shape[1:] == images.shape[1:]
        for image, label in zip(batch, labels.tolist(), strict=True):
            found = _windows(images[label].float() / 255, image)
            assert found, f"image {label} is no window of its padded original"
            flipped |= {flip for flip, _, _ in found}
            offsets |= {(top, left) for _, top, left in found}
    assert flipped == ({False, True} if augment == "crop_flip" else {False})
    pad_y, pad_x = shape[0] // 8, shape[1] // 8
    assert {top for top, _ in offsets} == set(range(2 * pad_y + 1))
    assert {left for _, left in offsets} == set(range(2 * pad_x + 1))


def _windows(original: Tensor, image: Tensor) -> list[tuple[bool, int, int]]:
    """Returns every (flipped, top, left) at which the image is a window of the padded original."""
    channels, height, width = original.shape
    pad_y, pad_x = height // 8, width // 8
    padded = torch.zeros(channels, height + 2 * pad_y, width + 2 * pad_x)
    padded[:, pad_y : pad_y + height, pad_x : pad_x + width] = original
    return [
        (flip, top, left)
        for flip in (False, True)
        for top in range(2 * pad_y + 1)
        for left in range(2 * pad_x + 1)
        if torch.equal(
            image.flip(2) if flip else image, padded[:, top : top + height, left : left + width]
        )
    ]
