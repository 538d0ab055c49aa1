"""Weight distance regularisation, replayed: min CE - alpha sqrt(mean (w - w0)^2 + 1e-8), Adam."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.purifiers import WeightDistReg
from remission.seeding import Seed
from tests.reference.adam import SlowAdam
from tests.reference.toy import (
    Slow,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    recognise,
    toy_data,
)


def trained(alpha: float, epochs: int = 2) -> Toy:
    method = WeightDistReg(alpha=alpha, epochs=epochs, lr=0.03, batch_size=4, augment="none")
    done = method(Toy(), toy_data(11), seed=Seed(0)).model
    assert isinstance(done, Toy)
    return done


@pytest.mark.parametrize("alpha", [0.0, 1.0, 30.0])
def test_every_update(alpha: float) -> None:
    done, data = trained(alpha), toy_data(11)
    w0, slow, adam = flat(Toy()), Slow.like(Toy()), SlowAdam(0.03)
    w = w0
    assert len(done.seen) == 6
    for batch in done.seen:
        which, triggered = recognise(batch, data)
        assert not any(triggered)
        y = data.labels[which]

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y) -> Tensor:
            squares = torch.zeros((), dtype=torch.float64)
            for a, b in zip(at, w0, strict=True):
                squares = squares + (a - b) ** 2
            distance = (squares / len(w0) + 1e-8).sqrt()
            return cross_entropy(slow.logits(at, x), y) - alpha * distance

        w = adam.step(w, grad(loss, w))
    assert_same(done, w, slow)


def test_at_the_old_weights_the_distance_has_no_gradient() -> None:
    """The first step is that of the cross entropy alone, however large alpha is."""
    free, driven = trained(0.0), trained(1e6)
    assert torch.equal(free.visited[1], driven.visited[1])
    assert not torch.equal(free.visited[2], driven.visited[2])


def test_the_larger_alpha_the_farther_it_goes() -> None:
    w0 = flat(Toy())
    near, far, farther = (float((flat(trained(a, 20)) - w0).norm()) for a in (0.0, 3.0, 100.0))
    assert near < far < farther
