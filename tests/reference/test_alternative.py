"""Alternative triggers: the direction and the ascent along it, by hand in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.reactivations import Alternative
from remission.seeding import Seed
from tests.reference.adam import SlowAdam
from tests.reference.toy import SIDE, C, Slow, Toy, by_hand, corner, flat, grad, schedule, toy_data

TARGET, EPSILON, COUNT = 1, 0.1, 13


def pooled(model: Toy, x: Tensor) -> Tensor:
    """Returns (N, 3): the last feature map in eval mode, averaged over positions."""
    return Slow.like(model).features(flat(model), x, train=False).sum((2, 3)) / SIDE**2


def test_alternative() -> None:
    victim, unseen, seed = Toy(0).eval(), Toy(9).eval(), Seed(5)
    method = Alternative(epsilon=EPSILON, epochs=3, lr=0.02, batch_size=4)
    found = method(unseen, toy_data(COUNT), corner(), TARGET, seed=seed, victim=victim)
    data = toy_data(COUNT)
    x = data.images[data.labels != TARGET]
    moved = (pooled(victim, by_hand(x)) - pooled(victim, x)).sum(0) / len(x)
    length = float(moved.square().sum().sqrt())
    first = method.perturbation((C, SIDE, SIDE), seed.child("perturbation"))
    delta, adam = next(first.parameters()).detach().double(), SlowAdam(0.02)

    def loss(at: Tensor, batch: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        after = pooled(victim, (batch + at).clamp(0, 1))
        for one, other in zip(after, pooled(victim, batch), strict=True):
            for k in range(len(moved)):
                total = total - (one[k] - other[k]) * moved[k] / length**2
        return total / len(batch)

    generator = seed.child("batches").generator()
    size = len(x) // 4 + (len(x) % 4 > 1)
    step = 0
    for _ in range(3):
        for part in torch.split(torch.randperm(len(x), generator=generator), 4):
            if len(part) > 1:
                adam.lr = 0.02 * schedule("cosine", step, 3 * size)
                g = grad(lambda at, b=x[part]: loss(at, b), delta)  # type: ignore[misc]
                delta = adam.step(delta.flatten(), g.flatten()).view_as(delta)
                delta = delta.clamp(-EPSILON, EPSILON)
                step += 1
    (pattern,) = found.perturbation.parameters()
    torch.testing.assert_close(pattern, delta, rtol=1e-6, atol=1e-9)
    assert not unseen.seen, "the purified model was shown nothing"
