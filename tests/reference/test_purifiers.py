"""Each purifier's training, replayed step by step on one flat vector."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.inversion import KnownSource
from remission.models import build_model
from remission.purifiers import EP, FST, FT, FTSAM, BTIDBFUnlearning
from remission.seeding import Seed
from remission.triggers import checkerboard
from remission.types import LabelledImages
from tests.reference.toy import (
    BIAS,
    HEAD,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    corner,
    cross_entropy,
    flat,
    grad,
    recognise,
    schedule,
    toy_data,
)


def labels_of(batch: Tensor, data: LabelledImages) -> Tensor:
    return data.labels[recognise(batch, data)[0]]


def result(model: object) -> Toy:
    assert isinstance(model, Toy)
    return model


def test_ft_is_sgd_on_clean_images() -> None:
    victim, data = Toy(), toy_data(11)
    method = FT(epochs=2, lr=0.1, weight_decay=0.02, batch_size=4, augment="none")
    purified = result(method(victim, data, seed=Seed(0)).model)
    w, slow, sgd = flat(victim), Slow.like(victim), SlowSGD(0.1, 0.9, 0.02)
    for step, batch in enumerate(purified.seen):
        assert recognise(batch, data)[1] == [False] * len(batch)
        y = labels_of(batch, data)
        g = grad(lambda at, x=batch, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step, total=6))
    assert_same(purified, w, slow)


@pytest.mark.parametrize("rho", [0.05, 2.0])
def test_ft_sam(rho: float) -> None:
    victim, data = Toy(), toy_data(11)
    method = FTSAM(epochs=2, lr=0.05, rho=rho, label_smoothing=0.2, batch_size=4, augment="none")
    purified = result(method(victim, data, seed=Seed(0)).model)
    w, slow, sgd = flat(victim), Slow.like(victim), SlowSGD(0.05, 0.9, 5e-4)
    assert len(purified.seen) == 2 * 6, "two passes a step"
    for step in range(6):
        batch, again = purified.seen[2 * step : 2 * step + 2]
        assert torch.equal(batch, again)
        y = labels_of(batch, data)

        def loss(at: Tensor, collect: bool, x: Tensor = batch, y: Tensor = y) -> Tensor:
            return cross_entropy(slow.logits(at, x, collect=collect), y, smoothing=0.2)

        g = grad(lambda at: loss(at, collect=True), w)
        squares = sum((abs(float(a)) * float(b)) ** 2 for a, b in zip(w, g, strict=True))
        eps = rho * w * w * g / math.sqrt(squares)
        torch.testing.assert_close(purified.visited[2 * step + 1], w + eps, rtol=1e-9, atol=1e-12)
        g = grad(lambda at: loss(at, collect=False), w + eps)
        w = sgd.step(w, g, schedule("cosine", step, total=6))
    assert_same(purified, w, slow)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_fst(alpha: float) -> None:
    victim, data = Toy(), toy_data(11)
    method = FST(epochs=2, lr=0.1, alpha=alpha, batch_size=4, augment="none")
    purified = result(method(victim, data, seed=Seed(0)).model)
    w0 = flat(victim)[HEAD]
    w, slow, sgd = purified.visited[0], Slow.like(victim), SlowSGD(0.1, 0.9)

    # the head starts anew, uniform within 1 / sqrt(fan_in), and nothing else does
    assert torch.equal(w[: HEAD.start], flat(victim)[: HEAD.start])
    for part in (HEAD, BIAS):
        assert not bool((w[part] == flat(victim)[part]).any())
        assert float(w[part].abs().max()) <= 1 / math.sqrt(3)

    for step, batch in enumerate(purified.seen):
        y = labels_of(batch, data)

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y) -> Tensor:
            return cross_entropy(slow.logits(at, x), y) + alpha * (at[HEAD] * w0).sum()

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=6)).clone()
        length, wanted = (math.sqrt(sum(float(v) ** 2 for v in u)) for u in (w[HEAD], w0))
        w[HEAD] *= wanted / length  # the weight only: the bias keeps its length
    assert_same(purified, w, slow)


@pytest.mark.parametrize(("share", "counts"), [(0.2, [1, 1, 1]), (0.5, [2, 2, 2]), (1, [4, 4, 3])])
def test_ep_triggers_a_share_of_each_batch_and_keeps_the_labels(
    share: float, counts: list[int]
) -> None:
    victim, data = Toy(), toy_data(11)
    method = EP(epochs=2, lr=0.1, share=share, batch_size=4, augment="none")
    source = KnownSource(corner())
    purified = result(method(victim, data, seed=Seed(0), trigger=source).model)
    w, slow, sgd = flat(victim), Slow.like(victim), SlowSGD(0.1, 0.9)
    for step, batch in enumerate(purified.seen):
        which, triggered = recognise(batch, data)
        assert sum(triggered) == counts[step % 3]
        y = data.labels[which]
        g = grad(lambda at, x=batch, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step, total=6))
    assert_same(purified, w, slow)


def test_ep_triggers_other_images_in_another_epoch() -> None:
    victim, data = Toy(), toy_data(11)
    method = EP(epochs=30, share=0.25, batch_size=4, augment="none")
    purified = result(method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model)
    stamped: set[int] = set()
    for batch in purified.seen:
        which, triggered = recognise(batch, data)
        stamped |= {i for i, yes in zip(which, triggered, strict=True) if yes}
    assert stamped == set(range(11)), "in the long run every image is shown with the trigger"


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_bti_dbf_u(share: float) -> None:
    victim, data = Toy(), toy_data(11)
    method = BTIDBFUnlearning(
        rounds=2, epochs=2, lr=0.01, share=share, batch_size=4, augment="none"
    )
    source = KnownSource(corner())
    purified = result(method(victim, data, seed=Seed(0), trigger=source).model)
    w, slow = flat(victim).requires_grad_(True), Slow.like(victim)
    optimizer = torch.optim.Adam([w], 0.01)  # one for both rounds
    for step, shown in enumerate(purified.seen):
        size = [4, 4, 3][step % 3]
        count = max(1, round(share * size))
        which, triggered = recognise(shown, data)
        assert triggered == [True] * count + [False] * size
        assert which[size:] == which[:count], "the triggered images once more, clean"
        h = slow.features(w, shown)
        squares = torch.zeros((), dtype=torch.float64)
        for a, b in zip(h[:count].flatten(), h[size:].flatten(), strict=True):
            squares = squares + (a - b) ** 2
        y = data.labels[which[:size]]
        loss = cross_entropy(slow.classify(w, h[:size]), y) + squares / h[:size].numel()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert len(purified.seen) == 12
    assert_same(purified, w.detach(), slow)


def test_bti_dbf_u_where_one_image_of_a_batch_is_triggered_and_features_have_one_position() -> None:
    """Batch norm cannot train on a single value per channel, which 8x8 images lead to."""
    model = build_model("resnet18:2", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = LabelledImages(images, torch.tensor([0, 1]))
    method = BTIDBFUnlearning(rounds=1, epochs=1, augment="none")
    purified = method(model, data, seed=Seed(0), trigger=KnownSource(checkerboard((1, 8, 8), 1, 0)))
    assert not torch.equal(purified.model.final_linear.weight, model.final_linear.weight)
