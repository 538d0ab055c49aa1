"""Bezier curves between networks, replayed: gamma(t) = (1 - t)^2 A + 2 t (1 - t) theta + t^2 B."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.seeding import Seed
from remission.training import Recipe, connect
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


def bezier(a: Tensor, theta: Tensor, b: Tensor, t: float) -> Tensor:
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * theta + t**2 * b


def position(point: Tensor, a: Tensor, theta: Tensor, b: Tensor) -> float:
    """Returns the t in [0, 1] at which ``point`` lies on the curve; all weights must agree."""
    low, high = 0.0, 1.0
    for _ in range(60):  # thirds of an interval, at whose ends the distances are compared
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if (bezier(a, theta, b, left) - point).norm() < (bezier(a, theta, b, right) - point).norm():
            high = right
        else:
            low = left
    torch.testing.assert_close(bezier(a, theta, b, low), point, rtol=1e-6, atol=1e-7)
    return low


def vector(direction: list[Tensor]) -> Tensor:
    """Returns tensors as one vector, in the order of the toy's parameters."""
    return torch.cat([tensor.flatten() for tensor in direction])


RECIPE = Recipe(epochs=12, lr=0.2, weight_decay=0.03, schedule="cosine", batch_size=4)


def test_every_update_of_the_bend() -> None:
    model, end, data = Toy(0), Toy(1), toy_data(11)
    a, b, slow = flat(model), flat(end), Slow.like(model)
    curve = connect(model, end, data, RECIPE, seed=Seed(0))
    theta, sgd, positions = (a + b) / 2, SlowSGD(0.2, 0.9, 0.03), []
    assert len(model.seen) == 36
    for step, batch in enumerate(model.seen):
        t = position(model.visited[step], a, theta, b)
        positions.append(t)
        y = data.labels[recognise(batch, data)[0]]

        def loss(bend: Tensor, x: Tensor = batch, y: Tensor = y, t: float = t) -> Tensor:
            return cross_entropy(slow.logits(bezier(a, bend, b, t), x), y)

        # the chain rule is autograd's own here
        theta = sgd.step(theta, grad(loss, theta), schedule("cosine", step, total=36))
    torch.testing.assert_close(vector(curve.bend), theta, rtol=1e-5, atol=1e-7)
    assert torch.equal(vector(curve.start), a)
    assert torch.equal(vector(curve.end), b)
    assert torch.equal(flat(end), b), "the end stays as it is"
    assert not end.seen
    # uniform: every quarter is visited, and the mean lies in the middle
    assert {int(4 * t) for t in positions} == {0, 1, 2, 3}
    assert abs(sum(positions) / len(positions) - 0.5) < 3 / (12 * len(positions)) ** 0.5


def test_points_of_the_curve() -> None:
    model, end = Toy(0), Toy(1)
    a, b = flat(model), flat(end)
    curve = connect(model, end, toy_data(11), RECIPE, seed=Seed(0))
    theta = vector(curve.bend)
    for t in (0.0, 0.25, 0.4, 1.0):
        curve.put(model, t)
        torch.testing.assert_close(flat(model), bezier(a, theta, b, t), rtol=1e-12, atol=1e-12)
    curve.put(model, 0.0)
    assert torch.equal(flat(model), a)
    curve.put(model, 1.0)
    assert torch.equal(flat(model), b)


def test_the_seed_decides_the_positions() -> None:
    bends = []
    for number in (0, 0, 1):
        model = Toy(0)
        bends.append(vector(connect(model, Toy(1), toy_data(11), RECIPE, seed=Seed(number)).bend))
    assert torch.equal(bends[0], bends[1])
    assert not torch.equal(bends[0], bends[2])


def test_the_middle_is_better_than_that_of_the_straight_line() -> None:
    """This is the purpose of the curve."""
    data, losses = toy_data(40), []
    recipe = Recipe(epochs=60, lr=0.1, schedule="cosine", batch_size=20)
    for bent in (False, True):
        model, end = Toy(0), Toy(1)
        slow = Slow.like(model)
        if bent:
            connect(model, end, data, recipe, seed=Seed(0)).put(model, 0.5)
            w = flat(model)
        else:
            w = (flat(model) + flat(end)) / 2
        losses.append(float(cross_entropy(slow.logits(w, data.images), data.labels)))
    assert losses[1] < losses[0] - 0.05, losses
    assert_same(end, flat(Toy(1)), Slow.like(Toy(1)))
