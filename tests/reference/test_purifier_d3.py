"""D3, replayed: min (lambda max(0, CE - epsilon) - ||W - W0||) / (1 + lambda), ||W|| = ||W0||."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.purifiers import D3
from remission.seeding import Seed
from tests.reference.toy import (
    HEAD,
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


def length(vector: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for value in vector:
        total = total + value * value
    return total.sqrt()


@pytest.mark.parametrize("epsilon", [1e-6, 1.5, 50.0], ids=["always over", "often over", "never"])
@pytest.mark.parametrize("lambda_clean", [0.5, 10.0])
def test_every_update(epsilon: float, lambda_clean: float) -> None:
    victim, data = Toy(), toy_data(11)
    method = D3(
        epsilon=epsilon, lambda_clean=lambda_clean, epochs=3, lr=0.1, batch_size=4, augment="none"
    )
    done = method(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    w0 = flat(victim)[HEAD]
    w, slow, sgd = done.visited[0], Slow.like(victim), SlowSGD(0.1, 0.9)
    over = []
    for step, batch in enumerate(done.seen):
        torch.testing.assert_close(done.visited[step], w, rtol=1e-9, atol=1e-12)
        which, triggered = recognise(batch, data)
        assert not any(triggered)
        y = data.labels[which]

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y) -> Tensor:
            clean = cross_entropy(slow.logits(at, x), y)  # the mean over the batch
            over.append(float(clean.detach()) > epsilon)
            excess = clean - epsilon if over[-1] else 0.0 * clean
            return (lambda_clean * excess - length(at[HEAD] - w0)) / (1 + lambda_clean)

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=9)).clone()
        w[HEAD] *= float(length(w0) / length(w[HEAD]))
    assert_same(done, w, slow)
    assert any(over) == (epsilon < 50)
    assert all(over) == (epsilon < 1)


def test_the_head_starts_anew_as_long_as_before_and_nothing_else_changes() -> None:
    victim, data = Toy(), toy_data(11)
    done = D3(epochs=1, batch_size=4, augment="none")(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    first, old = done.visited[0], flat(victim)
    assert not bool((first[HEAD] == old[HEAD]).any())
    assert float(length(first[HEAD])) == pytest.approx(float(length(old[HEAD])), rel=1e-12)
    outside = torch.ones(len(old), dtype=torch.bool)
    outside[HEAD] = False
    assert torch.equal(first[outside], old[outside]), "the bias stays too"
    again = D3(epochs=1, batch_size=4, augment="none")(victim, data, seed=Seed(1)).model
    assert isinstance(again, Toy)
    assert not bool((again.visited[0][HEAD] == first[HEAD]).any())


def test_where_the_clean_loss_never_counts_the_head_goes_to_the_other_side() -> None:
    """Of all weights of the length of W0, -W0 is the farthest; all other weights stay."""
    victim, data = Toy(), toy_data(11)
    method = D3(epsilon=1e3, epochs=600, lr=0.5, batch_size=11, augment="none")
    done = method(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    w, w0 = flat(done), flat(victim)
    assert float(length(w[HEAD] - w0[HEAD]) / length(w0[HEAD])) == pytest.approx(2, abs=1e-2)
    assert torch.equal(w[: HEAD.start], w0[: HEAD.start])
    assert torch.equal(w[HEAD.stop :], w0[HEAD.stop :])
    assert math.isfinite(float(length(w)))
