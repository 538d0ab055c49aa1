"""TSC, replayed: two curves per round, between the best of all orders of channels."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from remission.errors import SpecError
from remission.models import build_model
from remission.purifiers import TSC
from remission.seeding import Seed
from tests.reference.test_curve import bezier, position
from tests.reference.test_matching import distance
from tests.reference.toy import (
    CONV,
    FEATURES,
    HEAD,
    SCALE,
    SHIFT,
    C,
    K,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    moments,
    recognise,
    schedule,
    toy_data,
)

EPOCHS, T, LR, DECAY = 2, 0.4, 0.1, 0.02


class Log(list[Any]):
    """A list that copies of a model share."""

    def __deepcopy__(self, memo: dict[int, object]) -> Log:
        return self


def logged() -> Toy:
    victim = Toy()
    victim.seen, victim.visited = Log(), Log()
    return victim


def reordered(w: Tensor, slow: Slow, order: tuple[int, ...]) -> tuple[Tensor, Slow]:
    """Returns the same network with its three channels in another order, written out."""
    w, slow, old, was = w.clone(), copy.copy(slow), w, slow
    slow.running_mean, slow.running_var = was.running_mean.clone(), was.running_var.clone()
    for i, j in enumerate(order):
        w[CONV].view(FEATURES, C * 9)[i] = old[CONV].view(FEATURES, C * 9)[j]
        w[SCALE][i], w[SHIFT][i] = old[SCALE][j], old[SHIFT][j]
        w[HEAD].view(K, FEATURES)[:, i] = old[HEAD].view(K, FEATURES)[:, j]
        slow.running_mean[i], slow.running_var[i] = was.running_mean[j], was.running_var[j]
    return w, slow


class Replay:
    """Repeats the steps of the method, and checks them against the log."""

    def __init__(self, victim: Toy, count: int) -> None:
        self.data = toy_data(count)
        self.w, self.slow = flat(victim), Slow.like(victim)
        self.seen, self.visited = iter(list(victim.seen)), iter(list(victim.visited))

    def shown(self, times: int, images: int) -> None:
        """Checks forward passes of all images, which change no weights."""
        for _ in range(times):
            assert len(next(self.seen)) == images
            next(self.visited)

    def most(
        self, choose: Callable[..., Any], x: tuple[Tensor, Slow], y: tuple[Tensor, Slow]
    ) -> tuple[int, ...]:
        """Returns the order of y's channels with the nearest or farthest pooled features."""
        self.shown(1 if x is y else 2, len(self.data))  # one pass shows a model its own features
        a, b = (slow.features(w, self.data.images, train=False).mean((2, 3)) for w, slow in (x, y))
        found: tuple[int, ...] = choose(
            itertools.permutations(range(FEATURES)), key=lambda p: distance(a, b, p)
        )
        return found

    def curve(self, a: Tensor, b: Tensor) -> tuple[Tensor, Slow]:
        """Returns the point at t of a curve trained from a to b, with its own statistics."""
        theta, sgd, steps = (a + b) / 2, SlowSGD(LR, 0.9, DECAY), EPOCHS * 2
        for step in range(steps):
            batch = next(self.seen)
            t = position(next(self.visited), a, theta, b)
            y = self.data.labels[recognise(batch, self.data)[0]]

            def loss(bend: Tensor, x: Tensor = batch, y: Tensor = y, t: float = t) -> Tensor:
                return cross_entropy(self.slow.logits(bezier(a, bend, b, t), x, collect=False), y)

            theta = sgd.step(theta, grad(loss, theta), schedule("cosine", step, total=steps))
        return self.recalibrated(bezier(a, theta, b, T))

    def recalibrated(self, w: Tensor) -> tuple[Tensor, Slow]:
        self.shown(1, len(self.data))
        slow = copy.copy(self.slow)
        z = slow.convolved(w, self.data.images)
        mean, var = moments(z)
        count = z.numel() / FEATURES
        slow.running_mean, slow.running_var = mean, var * count / (count - 1)
        return w, slow

    def round(self) -> None:
        """Replays one round."""
        here = (self.w, self.slow)
        far, _ = reordered(*here, self.most(max, here, here))
        middle = self.curve(self.w, far)
        near, _ = reordered(*here, self.most(min, middle, here))
        self.w, self.slow = self.curve(near, middle[0])

    def tuning(self, epochs: int, lr: float) -> None:
        """Replays SGD with the same weight decay and a cosine schedule of its own."""
        sgd, steps = SlowSGD(lr, 0.9, DECAY), 2 * epochs
        for step in range(steps):
            batch = next(self.seen)
            next(self.visited)
            y = self.data.labels[recognise(batch, self.data)[0]]
            g = grad(lambda at, x=batch, y=y: cross_entropy(self.slow.logits(at, x), y), self.w)  # type: ignore[misc]
            self.w = sgd.step(self.w, g, schedule("cosine", step, total=steps))


@pytest.mark.parametrize(("rounds", "tune_epochs"), [(1, 3), (2, 0), (2, 1)])
def test_the_whole_method(rounds: int, tune_epochs: int) -> None:
    victim = logged()
    method = TSC(
        rounds=rounds, t=T, epochs=EPOCHS, lr=LR, weight_decay=DECAY, batch_size=4,
        augment="none", tune_epochs=tune_epochs, tune_lr=0.05,
    )  # fmt: skip
    done = method(victim, toy_data(8), seed=Seed(0)).model
    assert isinstance(done, Toy)
    replay = Replay(victim, 8)
    for turn in range(rounds):
        replay.round()
        if turn < rounds - 1:
            replay.tuning(tune_epochs, 0.05)
    assert list(replay.seen) == [], "no fine-tuning after the last round"
    torch.testing.assert_close(flat(done), replay.w, rtol=1e-6, atol=1e-8)
    done_slow = Slow.like(done)
    torch.testing.assert_close(
        done_slow.running_mean, replay.slow.running_mean, rtol=1e-6, atol=1e-8
    )
    torch.testing.assert_close(done_slow.running_var, replay.slow.running_var, rtol=1e-6, atol=1e-8)


def test_reordered_by_hand_is_the_same_network() -> None:
    """The replay itself is right."""
    toy, data = Toy(), toy_data(5)
    w, slow = flat(toy), Slow.like(toy)
    before = slow.logits(w, data.images, train=False)
    moved, other = reordered(w, slow, (2, 0, 1))
    assert not torch.equal(moved, w)
    torch.testing.assert_close(other.logits(moved, data.images, train=False), before)
    assert_same(toy, w, slow)


def test_a_network_whose_channels_cannot_change_places_is_refused() -> None:
    model = build_model("vit_tiny:12", classes=3, shape=(1, 16, 16), mean=(0.5,), std=(0.3,))
    with pytest.raises(SpecError, match="tsc needs convolutions, and vit_tiny:12 has none"):
        TSC()(model, toy_data(5), seed=Seed(0))
