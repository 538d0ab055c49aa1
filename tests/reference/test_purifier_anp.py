"""ANP: the ascent, the masks' update and the pruning, replayed on one flat vector."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from remission.purifiers import ANP
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.pruned_toy import (
    assert_only_channels_changed,
    hits,
    pruned,
    strongest,
    weighted,
)
from tests.reference.toy import (
    FEATURES,
    SCALE,
    SHIFT,
    Slow,
    SlowSGD,
    Toy,
    cross_entropy,
    flat,
    recognise,
    toy_data,
)


def labels_of(batch: Tensor, data: LabelledImages) -> Tensor:
    return data.labels[recognise(batch, data)[0]]


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@pytest.mark.parametrize("project", [False, True])
@pytest.mark.parametrize(("steps", "alpha", "lr"), [(1, 0.2, 0.1), (3, 0.6, 2.0), (2, 1.0, 0.5)])
def test_masks(steps: int, alpha: float, lr: float, project: bool) -> None:
    eps, toy, data = 0.3, Toy(), toy_data(11)
    method = ANP(eps=eps, project=project, alpha=alpha, steps=steps, lr=lr, momentum=0.8,
                 iterations=7, batch_size=4, augment="none")  # fmt: skip
    (found,) = method.masks(toy, data, Seed(0))
    w, slow, sgd = flat(toy), Slow.like(toy), SlowSGD(lr, 0.8)
    m = torch.ones(FEATURES, dtype=torch.float64)
    passes = steps + 2
    assert len(toy.seen) == 9 * passes, "three batches a pass, and 9 are the next to 7"
    starts, ends, lows, highs = [], list[float](), 0, 0
    for turn in range(9):
        x, shown = toy.seen[turn * passes], toy.visited[turn * passes : (turn + 1) * passes]
        assert all(torch.equal(x, again) for again in toy.seen[turn * passes :][:passes])
        y = labels_of(x, data)

        def loss(delta: Tensor, xi: Tensor, m: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
            return cross_entropy(slow.logits(weighted(w, m + delta, 1 + xi), x), y)

        # the start is drawn: read off what the model was shown
        delta = shown[0][SCALE] / w[SCALE] - m
        xi = shown[0][SHIFT] / w[SHIFT] - 1
        starts.append(torch.cat([delta, xi]))
        for step in range(steps):
            here = [delta.clone().requires_grad_(True), xi.clone().requires_grad_(True)]
            uphill = torch.autograd.grad(loss(here[0], here[1], m), here)
            for vector, slope in zip((delta, xi), uphill, strict=True):
                for k in range(FEATURES):
                    moved = float(vector[k]) + eps / steps * sign(float(slope[k]))
                    vector[k] = clipped(moved, -eps, eps) if project else moved
            at = weighted(w, m + delta, 1 + xi)
            torch.testing.assert_close(shown[step + 1], at, rtol=1e-9, atol=1e-9)
        ends += [abs(float(value)) for value in torch.cat([delta, xi])]
        torch.testing.assert_close(shown[-1], weighted(w, m, torch.ones(3)), rtol=1e-9, atol=1e-9)
        at = m.clone().requires_grad_(True)
        none = torch.zeros(FEATURES, dtype=torch.float64)
        both = alpha * loss(none, none, at) + (1 - alpha) * loss(delta, xi, at)
        m = sgd.step(m, torch.autograd.grad(both, at)[0]).clone()
        for k in range(FEATURES):
            lows, highs = lows + (float(m[k]) < 0), highs + (float(m[k]) > 1)
            m[k] = clipped(float(m[k]), 0, 1)
    torch.testing.assert_close(found, m, rtol=1e-7, atol=1e-9)
    assert torch.equal(flat(toy), w), "the weights are fixed"
    assert highs
    assert lows or lr < 2, "both ends were met"
    assert max(ends) <= (1 if project else 2) * eps + 1e-9
    beyond = sum(end > eps + 1e-9 for end in ends) / len(ends)
    if project:
        assert beyond == 0
    elif steps == 1:
        assert beyond == pytest.approx(0.5, abs=0.2), (
            "a whole step leads out of the box half of the times"
        )
    drawn = torch.stack(starts)
    assert float(drawn.abs().max()) <= eps + 1e-12
    assert len(set(drawn.flatten().tolist())) == drawn.numel(), "drawn anew for every batch"
    assert abs(float(drawn.mean())) < 0.1
    assert float(drawn.abs().mean()) == pytest.approx(eps / 2, abs=0.05)


@pytest.mark.parametrize("keep_shift", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_a_given_threshold(
    threshold: float, keep_shift: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, data = Toy(), toy_data()
    masks = [torch.tensor([0.5, 0.0, 0.7], dtype=torch.float64)]
    monkeypatch.setattr(ANP, "masks", lambda *args: masks)
    method = ANP(threshold=threshold, keep_shift=keep_shift)
    done = method(victim, data, seed=Seed(0)).model
    wanted = {0.0: [False, True, False], 0.5: [True, True, False], 1.0: [True] * 3}[threshold]
    w = pruned(flat(victim), wanted, keep_shift=keep_shift)
    assert_only_channels_changed(done, victim, w)


def test_what_learns_is_a_copy_and_sees_all_images_where_the_threshold_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim, data, given = Toy(), toy_data(), list[int]()

    def masks(self: ANP, model: Toy, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        del self, seed
        given.append(len(clean))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(9.0)
            model.bn.running_mean.fill_(9.0)  # type: ignore[union-attr]
        return [torch.tensor([0.0, 1.0, 1.0])]

    monkeypatch.setattr(ANP, "masks", masks)
    done = ANP(threshold=0.2)(victim, data, seed=Seed(0)).model
    assert_only_channels_changed(done, victim, pruned(flat(victim), [True, False, False]))
    ANP(held_out=0.25)(victim, data, seed=Seed(0))
    assert given == [11, 8]


@pytest.mark.parametrize(
    ("m", "channels", "wanted"),
    [
        ([0.5, 0.0, 0.7], 0, [False, False, False]),
        ([0.5, 0.0, 0.7], 1, [False, True, False]),
        ([0.5, 0.0, 0.7], 2, [True, True, False]),
        ([0.5, 0.0, 0.7], 9, [True, True, True]),
        ([0.0, 0.0, 0.0], 1, [False, False, True]),
        ([0.0, 0.0, 0.0], 2, [False, True, True]),
        ([1.0, 0.9, 1.0], 2, [False, True, False]),
    ],
)
def test_a_given_number_of_channels(
    m: list[float], channels: int, wanted: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, data = Toy(), toy_data()
    monkeypatch.setattr(ANP, "masks", lambda *args: [torch.tensor(m, dtype=torch.float64)])
    done = ANP(channels=channels)(victim, data, seed=Seed(0)).model
    assert_only_channels_changed(done, victim, pruned(flat(victim), wanted))


@pytest.mark.parametrize(
    "m", [[0.0, 0.33, 0.86], [0.0, 0.0, 0.0], [0.4, 1.0, 0.4], [1.0, 1.0, 1.0]]
)
@pytest.mark.parametrize("max_drop", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_search(
    seed: int, max_drop: float, m: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, data = Toy(seed), toy_data(40)
    learnt: list[LabelledImages] = []

    def masks(self: ANP, model: Toy, clean: LabelledImages, seed: Seed) -> list[Tensor]:
        del self, model, seed
        learnt.append(clean)
        return [torch.tensor(m, dtype=torch.float64)]

    monkeypatch.setattr(ANP, "masks", masks)
    method = ANP(max_drop=max_drop, held_out=0.5)
    done = method(copy.deepcopy(victim), data, seed=Seed(0)).model
    learning = set(recognise(learnt[0].images, data)[0])
    held = [i for i in range(len(data)) if i not in learning]
    assert len(learning) == len(held) == 20
    searched = LabelledImages(data.images[held], data.labels[held])
    w, slow = flat(victim), Slow.like(victim)
    order = sorted(range(FEATURES), key=lambda k: (m[k], -k))
    chosen = [order[:number] for number in range(1, FEATURES + 1)]
    candidates = [pruned(w, [k in group and m[k] < 1 for k in range(FEATURES)]) for group in chosen]
    found = [hits(slow, at, searched) for at in candidates]
    best = strongest(found, hits(slow, w, searched), len(held), max_drop)
    assert_only_channels_changed(done, victim, w if best is None else candidates[best])
