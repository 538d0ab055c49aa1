"""D3, replayed: min lambda * excess - ||W - W0||, ||W|| = ||W0||, with both hinges."""

from __future__ import annotations

import math
from typing import Literal

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


def excess(logits: Tensor, y: Tensor, epsilon: float, hinge: str) -> tuple[Tensor, list[bool]]:
    """Returns the clean loss above epsilon, and which of the values that it compares are above."""
    groups = [slice(None)] if hinge == "batch" else [slice(i, i + 1) for i in range(len(y))]
    total, over = torch.zeros((), dtype=torch.float64), []
    for group in groups:
        clean = cross_entropy(logits[group], y[group])  # the mean over the group
        over.append(float(clean.detach()) > epsilon)
        if over[-1]:
            total = total + (clean - epsilon)
    return total / len(groups), over


@pytest.mark.parametrize("epsilon", [1e-6, 1.5, 50.0], ids=["always over", "often over", "never"])
@pytest.mark.parametrize("lambda_clean", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("hinge", ["image", "batch"])
def test_every_update(
    epsilon: float, lambda_clean: float, hinge: Literal["image", "batch"]
) -> None:
    victim, data = Toy(), toy_data(11)
    method = D3(
        epsilon=epsilon, lambda_clean=lambda_clean, hinge=hinge, epochs=3, lr=0.1, batch_size=4,
        augment="none",
    )  # fmt: skip
    done = method(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    w0 = flat(victim)[HEAD]
    w, slow, sgd = done.visited[0], Slow.like(victim), SlowSGD(0.1, 0.9)
    over: list[bool] = []
    divisor = 11 if lambda_clean == 10 else 1
    for step, batch in enumerate(done.seen):
        torch.testing.assert_close(done.visited[step], w, rtol=1e-9, atol=1e-12)
        which, triggered = recognise(batch, data)
        assert not any(triggered)
        y = data.labels[which]

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y) -> Tensor:
            above, which = excess(slow.logits(at, x), y, epsilon, hinge)
            over.extend(which)
            return (lambda_clean * above - length(at[HEAD] - w0)) / divisor

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=9)).clone()
        w[HEAD] *= float(length(w0) / length(w[HEAD]))
    assert_same(done, w, slow)
    assert any(over) == (epsilon < 50)
    assert all(over) == (epsilon < 1)


def test_an_image_of_small_loss_counts_in_the_mean_and_not_alone() -> None:
    """Losses 0.2 and 3.0 with epsilon 1: (0 + 2) / 2 per image, 1.6 - 1 in the mean."""
    shares = torch.tensor([0.2, 3.0], dtype=torch.float64).neg().exp()
    logits, labels = torch.stack([shares, 1 - shares], 1).log(), torch.zeros(2, dtype=torch.long)
    assert float(D3(epsilon=1.0).excess(logits, labels)) == pytest.approx(1.0, rel=1e-12)
    batch = D3(epsilon=1.0, hinge="batch")
    assert float(batch.excess(logits, labels)) == pytest.approx(0.6, rel=1e-12)


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
