"""RNP: the climb, the recovery and the pruning, replayed on one flat vector."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.purifiers import RNP
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.pruned_toy import assert_only_channels_changed, pruned, weighted
from tests.reference.toy import (
    FEATURES,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    recognise,
    toy_data,
)


def labels_of(batch: Tensor, data: LabelledImages) -> Tensor:
    return data.labels[recognise(batch, data)[0]]


def shortened(g: Tensor, longest: float) -> Tensor:
    length = math.sqrt(sum(float(v) ** 2 for v in g))
    # torch adds 1e-6 to the length, lest it divide by zero
    return g * min(1.0, longest / (length + 1e-6))


def recognised(slow: Slow, w: Tensor, x: Tensor, y: Tensor) -> int:
    logits = slow.logits(w, x)
    return sum(int(row.argmax()) == int(k) for row, k in zip(logits, y, strict=True))


@pytest.mark.parametrize(
    ("count", "known", "clip", "lr", "goal", "wanted"),
    [
        (11, True, 0.5, 0.05, 0.0, 15),
        (11, True, 0.5, 0.2, 0.25, 7),
        (11, True, 0.5, 0.2, 0.5, 4),
        (9, True, 0.5, 0.2, 0.25, 4),
        (11, True, 100.0, 0.05, 0.0, 15),
        (11, True, 100.0, 0.2, 0.25, 7),
        (11, False, 0.5, 0.2, 0.25, 1),
    ],
)
def test_both_trainings(
    count: int, known: bool, clip: float, lr: float, goal: float, wanted: int
) -> None:
    toy, data = Toy(2), toy_data(count)
    slow, w = Slow.like(toy), flat(toy)
    if known:  # labels that the model gives, so that there is something to unlearn
        data = LabelledImages(data.images, slow.logits(w, data.images, collect=False).argmax(1))
    method = RNP(unlearn_acc=goal, unlearn_epochs=5, unlearn_lr=lr, unlearn_weight_decay=0.02,
                 clip=clip, alpha=0.3, lr=1.5, momentum=0.7, epochs=3, batch_size=4,
                 augment="none")  # fmt: skip
    (found,) = method.masks(toy, data, Seed(0))

    # up, until a whole batch is bad enough; of 9 images in batches of 4 the last one is left out
    sgd, turn, steps = SlowSGD(lr, 0.7, 0.02), 0, {11: 3, 9: 2}[count]
    used, before, reached = [], None, False
    while turn < 5 * steps and not reached:
        x, y = toy.seen[turn], labels_of(toy.seen[turn], data)
        torch.testing.assert_close(toy.visited[turn], w, rtol=1e-9, atol=1e-12)
        turn += 1
        right = recognised(slow, w, x, y)
        reached = len(x) == 4 and right / 4 <= goal
        if not reached:
            before = w if len(x) == 4 else before
            g = grad(
                lambda at, x=x, y=y: -cross_entropy(slow.logits(at, x, collect=False), y),  # type: ignore[misc]
                w,
            )
            used.append(math.sqrt(sum(float(v) ** 2 for v in g)) > clip)
            w = sgd.step(w, shortened(g, clip))
    assert turn == wanted
    if reached and before is not None:
        missed, met = 0.0, 1.0
        for again in toy.seen[turn : turn + 5]:
            assert torch.equal(again, x)
            middle = (missed + met) / 2
            if recognised(slow, before + middle * (w - before), x, y) / 4 <= goal:
                met = middle
            else:
                missed = middle
        w, turn = before + met * (w - before), turn + 5
    torch.testing.assert_close(flat(toy), w, rtol=1e-9, atol=1e-12)

    # back, by masks alone
    assert any(used) == (clip < 1 and wanted > 1), "the clipping is at work, or it is not"
    assert len(toy.seen) == turn + 3 * steps, "nothing is computed between the goal and step 2"
    sgd, m, w = SlowSGD(1.5, 0.7), torch.ones(FEATURES, dtype=torch.float64), flat(toy)
    for x in toy.seen[turn:]:
        y = labels_of(x, data)

        def loss(at: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
            logits = slow.logits(weighted(w, at, torch.ones(FEATURES)), x)
            return 0.3 * cross_entropy(logits, y)

        m = sgd.step(m, grad(loss, m)).clone()
        for k in range(FEATURES):
            m[k] = min(max(float(m[k]), 0.0), 1.0)
    torch.testing.assert_close(found, m, rtol=1e-9, atol=1e-9)
    assert_same(toy, w, slow)
    assert not torch.equal(m, torch.ones(FEATURES))


@pytest.mark.parametrize("keep_shift", [False, True])
def test_the_model_that_is_pruned_is_the_victim(keep_shift: bool) -> None:
    victim, data = Toy(), toy_data(11)
    method = RNP(threshold=0.6, keep_shift=keep_shift, unlearn_epochs=3, unlearn_lr=0.1, lr=2.0,
                 epochs=3, batch_size=4, augment="none")  # fmt: skip
    (m,) = method.masks(Toy(), data, Seed(0))
    wanted = [float(value) <= 0.6 for value in m]
    assert 0 < sum(wanted) < FEATURES
    done = method(victim, data, seed=Seed(0)).model
    w = pruned(flat(victim), wanted, keep_shift=keep_shift)
    assert_only_channels_changed(done, victim, w)
