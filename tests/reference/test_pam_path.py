"""Path-sampled PAM's update, replayed on one flat vector."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from remission.inversion import Inverted, InvertedSource, KnownSource, Universal
from remission.purifiers import PAMPath
from remission.seeding import Seed
from remission.training import Weights, recalibrate
from remission.training.distillation import divergence
from remission.triggers import Trigger
from remission.triggers.warp_and_add import WarpAndAdd
from tests.reference.toy import (
    Slow,
    SlowSGD,
    Toy,
    corner,
    cross_entropy,
    flat,
    grad,
    schedule,
    toy_data,
)


def slow_divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Returns T^2 KL(wanted || logits), written out; differentiable in ``logits``."""
    total = logits.new_zeros(())
    for found, goal in zip(logits, wanted, strict=True):
        q = [math.exp(float(g) / temperature) for g in goal]
        norm = torch.stack([(f / temperature).exp() for f in found]).sum().log()
        for share, f in zip((v / sum(q) for v in q), found, strict=True):
            total = total + share * (math.log(share) - (f / temperature - norm))
    return temperature**2 * total / len(logits)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_divergence(temperature: float) -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = (3 * torch.randn(5, 4, generator=generator).double() for _ in range(2))
    found = divergence(a, b, temperature)
    torch.testing.assert_close(found, slow_divergence(a, b, temperature), rtol=1e-9, atol=1e-12)
    assert float(divergence(b, b, temperature)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("along", "t_max", "average"), [(0.3, 0.95, 0.0), (0.7, 0.5, 0.6)])
def test_every_update(along: float, t_max: float, average: float) -> None:
    victim, data = Toy(), toy_data(8)
    method = PAMPath(
        along=along, t_max=t_max, average=average, temperature=2.0, epochs=4, lr=0.1, share=0.5,
        batch_size=8,
    )  # fmt: skip
    done = method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model
    assert isinstance(done, Toy)
    victim.eval()
    w_bd = flat(victim)
    w, summed = w_bd, torch.zeros_like(w_bd)
    slow, sgd = Slow.like(victim), SlowSGD(0.1, momentum=0.9)
    seen, visited = done.seen[:8], done.visited[:8]  # then the statistics are collected
    for step in range(4):
        x, again = seen[2 * step], seen[2 * step + 1]
        assert torch.equal(x, again), "both gradients see the same batch"
        torch.testing.assert_close(visited[2 * step], w, rtol=1e-9, atol=1e-12)
        at = visited[2 * step + 1]
        t = _share_of_the_way(w, w_bd, at)
        assert t is None or 0 <= t <= t_max
        clean = _untriggered(x, data.images)
        with torch.no_grad():
            wanted = victim(clean)
        g = (1 - along) * _gradient(slow, x, wanted, w) + along * _gradient(slow, x, wanted, at)
        w = sgd.step(w, g, schedule("cosine", step, total=4))
        summed = average * summed + (1 - average) * w
    mean = summed / (1 - average ** (step + 1))  # so that the weights of w_1, ..., w_k add up to 1
    torch.testing.assert_close(flat(done), mean, rtol=1e-8, atol=1e-10)


def test_points_of_the_way_are_drawn_evenly() -> None:
    victim, data = Toy(), toy_data(8)
    method = PAMPath(t_max=0.8, epochs=200, lr=0.05, batch_size=8, share=0.5, schedule="constant")
    done = method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model
    assert isinstance(done, Toy)
    w_bd, places = flat(victim), []
    for step in range(1, 200):
        w, at = done.visited[2 * step], done.visited[2 * step + 1]
        t = _share_of_the_way(w, w_bd, at)
        assert t is not None
        places.append(t)
    ordered = sorted(places)
    for k, place in enumerate(ordered):  # Kolmogorov-Smirnov, far beyond the 1 % bound
        assert place / 0.8 == pytest.approx(k / len(ordered), abs=0.13)


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_the_trigger_is_strengthened_in_its_share_of_the_batch(strength: float) -> None:
    data = toy_data(8)
    method = PAMPath(strength=strength, share=0.5)

    class Slight(Trigger):
        def stamp(self, images: Tensor) -> Tensor:
            return images + 0.01

    factors = []
    for n in range(50):
        images = data.images * 0.5
        found = method.stamp(KnownSource(Slight()), images, torch.Generator().manual_seed(n))
        assert torch.equal(found[4:], images[4:])
        moved = (found[:4] - images[:4]) / 0.01
        torch.testing.assert_close(moved, moved[0, 0, 0, 0].expand_as(moved))
        factors.append(float(moved[0, 0, 0, 0]))
    assert min(factors) >= 1 - 1e-9
    assert max(factors) <= strength + 1e-9
    assert max(factors) - min(factors) >= 0.8 * (strength - 1)


def test_strengthened_images_are_clipped() -> None:
    images = toy_data(8).images

    class Far(Trigger):
        def stamp(self, images: Tensor) -> Tensor:
            return 2 * images - 0.5

    method = PAMPath(strength=3.0, share=0.5)
    found = method.stamp(KnownSource(Far()), images, torch.Generator().manual_seed(0))[:4].flatten()
    pairs = zip(images[:4].flatten().tolist(), found.tolist(), strict=True)
    moved = [(x, min(1.0, max(0.0, 2 * x - 0.5)) - x, after) for x, after in pairs]
    u = next((after - x) / by for x, by, after in moved if abs(by) > 0.01 and 0 < after < 1)
    assert u > 1.1
    for x, by, after in moved:
        assert after == pytest.approx(min(1.0, max(0.0, x + u * by)), abs=1e-9)
    assert {0.0, 1.0} < {after for _, _, after in moved}


def test_a_warp_is_strengthened_by_moving_pixels_farther() -> None:
    images = toy_data(8).images
    height, width = images.shape[2:]
    trigger = WarpAndAdd((images.shape[1], height, width), grid=2).double()
    trigger.become("warp", torch.full((2, 2, 2), 0.75).double())
    source = InvertedSource(
        Universal(), Inverted(generator=trigger, target=0, target_share=1.0, change=0.1)
    )
    found = PAMPath(strength=3.0, share=0.5).stamp(source, images, torch.Generator().manual_seed(0))
    u = 1 + 2 * float(torch.rand((), generator=torch.Generator().manual_seed(0)))
    assert abs(u - 1) > 0.2
    for n in range(4):
        for row in range(height):
            for column in range(width):  # every pixel comes from u * 0.75 to the right and below
                y, x = min(row + 0.75 * u, height - 1), min(column + 0.75 * u, width - 1)
                wanted = bilinear(images[n, 0], y, x)
                assert float(found[n, 0, row, column]) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("along", [0.2, 0.7])
def test_the_loss_that_is_told_is_weighted_like_the_gradient(along: float) -> None:
    victim, model, data = Toy(), Toy(seed=5), toy_data(8)
    w_bd, w, slow = flat(victim), flat(model), Slow.like(model)

    def loss_at(w: Tensor) -> Tensor:
        return cross_entropy(slow.logits(w, data.images, collect=False), data.labels)

    def backward() -> Tensor:
        loss = torch.nn.functional.cross_entropy(model(data.images), data.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    backdoored = [p.detach().clone() for p in victim.parameters()]
    told = PAMPath(along=along).gradient(model, Weights(model), backdoored, 0.5, backward)
    here, there = loss_at(w), loss_at(w + 0.5 * (w_bd - w))
    assert abs(float(here - there)) > 0.01
    assert float(told) == pytest.approx(float((1 - along) * here + along * there), rel=1e-9)


def test_the_statistics_are_collected_on_clean_images_at_the_averaged_weights() -> None:
    victim, data = Toy(), toy_data(11)
    kept: list[Tensor] = []
    for average in (0.0, 0.9):
        method = PAMPath(average=average, epochs=4, lr=0.1, share=0.5, batch_size=4)
        done = method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model
        assert isinstance(done, Toy)
        anew = copy.deepcopy(done)
        recalibrate(anew, data)
        for name in ("running_mean", "running_var"):
            found, wanted = getattr(done.bn, name), getattr(anew.bn, name)
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
            kept.append(found)
    for last, averaged in zip(kept[:2], kept[2:], strict=True):
        assert not torch.allclose(last, averaged, rtol=1e-4), "the average lies elsewhere"


def bilinear(image: Tensor, y: float, x: float) -> float:
    """Returns the value of an (H, W) image between its pixels."""
    top, left = min(int(y), image.shape[0] - 2), min(int(x), image.shape[1] - 2)
    down, right = y - top, x - left
    (a, b), (c, d) = image[top : top + 2, left : left + 2].tolist()
    upper, lower = a + right * (b - a), c + right * (d - c)
    return float(upper + down * (lower - upper))


def _gradient(slow: Slow, x: Tensor, wanted: Tensor, at: Tensor) -> Tensor:
    return grad(lambda w: slow_divergence(slow.logits(w, x), wanted, 2.0), at)


def _share_of_the_way(w: Tensor, w_bd: Tensor, at: Tensor) -> float | None:
    """Returns t with at = w + t (w_bd - w), checked in every coordinate; None at w = w_bd."""
    d = w_bd - w
    if float(d.abs().max()) < 1e-12:
        return None
    t = float((at - w) @ d / (d @ d))
    torch.testing.assert_close(at, w + t * d, rtol=1e-7, atol=1e-10)
    return t


def _untriggered(batch: Tensor, images: Tensor) -> Tensor:
    """Returns the clean images of a batch, by the pixels that the corner patch leaves alone."""
    rows = []
    for image in batch:
        same = [(image == other).double().mean() for other in images]
        rows.append(images[max(range(len(same)), key=lambda n: float(same[n]))])
    return torch.stack(rows)
