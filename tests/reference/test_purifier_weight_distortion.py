"""Weight distortion, replayed: w + sigma z, then Adam on the cross entropy of clean images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.models import build_model
from remission.purifiers import WeightDistortion
from remission.seeding import Seed
from remission.types import LabelledImages
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


def distorted(sigma: float, seed: int = 0) -> Toy:
    method = WeightDistortion(sigma=sigma, epochs=2, lr=0.03, batch_size=4, augment="none")
    done = method(Toy(), toy_data(11), seed=Seed(seed)).model
    assert isinstance(done, Toy)
    return done


@pytest.mark.parametrize("sigma", [0.02, 0.5])
def test_every_update(sigma: float) -> None:
    done, data = distorted(sigma), toy_data(11)
    w, slow, adam = done.visited[0], Slow.like(Toy()), SlowAdam(0.03)
    assert len(done.seen) == 6
    for batch in done.seen:
        which, triggered = recognise(batch, data)
        assert not any(triggered)
        y = data.labels[which]
        g = grad(lambda at, x=batch, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = adam.step(w, g)
    assert_same(done, w, slow)


def test_the_noise_is_as_large_as_sigma_and_moves_every_weight() -> None:
    victim = flat(Toy())
    small, large, other = (
        distorted(sigma, seed).visited[0] - victim for sigma, seed in ((0.1, 0), (1.0, 0), (1.0, 1))
    )
    torch.testing.assert_close(large, 10 * small, rtol=1e-9, atol=1e-12)
    assert bool((small != 0).all()), "batch-norm scale and shift and biases too"
    assert not bool((large == other).any())


def test_the_noise_is_normal_with_the_standard_deviation_sigma() -> None:
    model = build_model("resnet18:4", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    data = LabelledImages(torch.rand(4, 1, 8, 8), torch.arange(4) % 3)
    done = WeightDistortion(sigma=0.3, epochs=1, lr=1e-12)(model, data, seed=Seed(0)).model
    pairs = zip(done.parameters(), model.parameters(), strict=True)
    z = torch.cat([((a - b) / 0.3).detach().flatten() for a, b in pairs]).double()
    assert len(z) > 40_000

    def moment(power: int) -> Tensor:
        return z.pow(power).mean()

    assert float(moment(1)) == pytest.approx(0, abs=0.02)
    assert float(moment(2)) == pytest.approx(1, abs=0.03)
    assert float(moment(4)) == pytest.approx(3, abs=0.2)
