"""Neural Cleanse: the search class by class, the cost's schedule, the index, the unlearning."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from remission.inversion.neural_cleanse import (
    Search,
    _Cost,
    anomaly_index,
    reverse_engineer,
)
from remission.purifiers import NeuralCleanse
from remission.seeding import Seed
from tests.reference.toy import (
    SIDE,
    C,
    K,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    schedule,
    toy_data,
)


@dataclass
class SlowCost:
    """The authors' procedure for one class, with ifs."""

    search: Search
    cost: float = 0.0
    best: float = math.inf
    last_best: float = math.inf
    waited: int = 0
    up: int = 0
    down: int = 0
    stale: int = 0
    raised: bool = False
    lowered: bool = False
    stopped: bool = False

    def update(self, success: float, norm: float) -> bool:
        """Updates the cost after a pass; returns whether the mask is the smallest that works."""
        works = success >= self.search.success
        better = works and norm < self.best
        if better:
            self.best = norm
        if self.best < math.inf:
            self.stale = self.stale + 1 if self.best >= self.last_best else 0
        self.last_best = min(self.best, self.last_best)
        if self.raised and self.lowered and self.stale >= self.search.stop_patience:
            self.stopped = True
            return better
        self.waited = self.waited + 1 if self.cost == 0 and works else 0
        if self.waited >= self.search.patience:
            self.cost, self.up, self.down = self.search.cost, 0, 0
            self.raised = self.lowered = False
            self.waited = 0
        self.up, self.down = (self.up + 1, 0) if works else (0, self.down + 1)
        if self.up >= self.search.patience:
            self.cost, self.up, self.raised = self.cost * self.search.multiplier, 0, True
        elif self.down >= self.search.patience:
            self.cost, self.down, self.lowered = self.cost / self.search.multiplier**1.5, 0, True
        return better


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_cost(patience: int) -> None:
    search = Search(patience=patience, stop_patience=4 * patience, success=0.6)
    generator = torch.Generator().manual_seed(patience)
    fast, slow = _Cost(20, search), [SlowCost(search) for _ in range(20)]
    mood = torch.rand(20, generator=generator)
    for turn in range(300):
        if turn % 7 == 0:  # runs of passes that work, and of others
            mood = torch.rand(20, generator=generator)
        success = (mood + 0.2 * torch.randn(20, generator=generator)).double()
        norms = torch.rand(20, generator=generator).double() + 30 / (turn + 10)
        better = fast.update(success, norms)
        for k, one in enumerate(slow):
            if one.stopped:
                assert not better[k]
                continue
            assert one.update(float(success[k]), float(norms[k])) == bool(better[k])
            assert bool(fast.stopped[k]) == one.stopped
            assert float(fast.best[k]) == one.best
            if not bool(fast.stopped[k]):
                assert float(fast.now[k]) == pytest.approx(one.cost, rel=1e-12)
    assert sum(one.stopped for one in slow) > 3
    assert any(one.best < math.inf for one in slow)


def slow_index(norms: list[float]) -> list[float]:
    middle = statistics.median(norms)
    deviation = 1.4826 * statistics.median([abs(value - middle) for value in norms])
    return [(middle - value) / deviation for value in norms]


@pytest.mark.parametrize("count", [3, 4, 9, 10])
def test_the_anomaly_index(count: int) -> None:
    norms = (10 * torch.rand(count, generator=torch.Generator().manual_seed(count))).double()
    assert anomaly_index(norms).tolist() == pytest.approx(slow_index(norms.tolist()))


def test_the_anomaly_index_of_special_norms() -> None:
    assert anomaly_index(torch.tensor([3.0, 9.0])).tolist() == pytest.approx(
        [1 / 1.4826, -1 / 1.4826]
    ), "of two classes none can be an outlier"
    assert anomaly_index(torch.full((4,), 5.0)).tolist() == [0.0] * 4
    assert anomaly_index(torch.tensor([1.0, 5.0, 5.0, 5.0, 9.0])).tolist() == [
        math.inf, 0.0, 0.0, 0.0, -math.inf,
    ]  # fmt: skip


SEARCH = Search(images=5, passes=4, batch_size=3, lr=0.3, cost=0.02, success=0.3, patience=1)


def slow_class(model: Toy, k: int, search: Search, images: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns mask and pattern of one class; ``images`` are the batches of all passes."""
    slow, w = Slow.like(model), flat(model)
    drawn = torch.rand(1 + C, SIDE, SIDE, generator=Seed(7).child("class", k).generator())
    raw = ((2 * drawn - 1) * (1 - 1e-6)).atanh().double().requires_grad_(True)
    adam = torch.optim.Adam([raw], search.lr, betas=(0.5, 0.9))
    cost = SlowCost(search)
    best = None
    for turn in range(search.passes):
        if cost.stopped:
            break
        hits, seen, norms = 0, 0, 0.0
        for x in images[2 * turn : 2 * turn + 2]:
            squashed = raw.tanh() / 2 + 0.5
            mask, pattern = squashed[:1], squashed[1:]
            logits = slow.logits(w, (1 - mask) * x + mask * pattern, train=False)
            size = sum((value for value in mask.flatten()), torch.zeros(()).double())
            wanted = torch.full((len(x),), k)
            adam.zero_grad()
            loss = cross_entropy(logits, wanted) + cost.cost * size
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            hits, seen = hits + int((logits.argmax(1) == k).sum()), seen + len(x)
            norms += float(size.detach()) * len(x)
        if cost.update(hits / seen, norms / seen):
            best = (raw.tanh() / 2 + 0.5).detach().clone()
    if best is None:
        best = (raw.tanh() / 2 + 0.5).detach()
    return best[:1], best[1:]


@pytest.mark.parametrize("at_once", [1, 3, K])
def test_the_search(at_once: int) -> None:
    model, data = Toy(), toy_data(7)
    before, required = flat(model), [p.requires_grad for p in model.parameters()]
    search = replace(SEARCH, classes_at_once=at_once, passes=6)
    found = reverse_engineer(model, data, seed=Seed(7), search=search)
    assert torch.equal(flat(model), before)
    assert [p.requires_grad for p in model.parameters()] == required
    assert model.training

    order = Seed(7).child("images").generator()
    images = []
    for _ in range(search.passes):
        drawn = torch.randperm(7, generator=order)[:5]
        images += [data.images[drawn[:3]], data.images[drawn[3:]]]
    for k in range(K):
        mask, pattern = slow_class(model, k, search, images)
        torch.testing.assert_close(found.masks[k], mask, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(found.patterns[k], pattern, rtol=1e-7, atol=1e-9)
        assert float(found.norms[k]) == pytest.approx(float(mask.sum()))
    assert found.index.tolist() == pytest.approx(slow_index(found.norms.tolist()))


def test_a_class_without_a_working_trigger_is_not_flagged() -> None:
    found = reverse_engineer(Toy(), toy_data(7), seed=Seed(7), search=replace(SEARCH, success=0.0))
    assert found.works.all()
    lowest = int(found.norms.argmin())
    assert found.flagged(0.0)[0] == lowest
    hopeless = replace(found, works=torch.arange(K) != lowest)
    assert lowest not in hopeless.flagged(0.0)
    assert found.flagged(1e9) == []


def test_a_mask_far_larger_than_the_others_is_not_suspect() -> None:
    found = reverse_engineer(Toy(), toy_data(7), seed=Seed(7), search=replace(SEARCH, success=0.0))
    index = torch.tensor([-5.0, 3.0, 2.0, 4.0])
    found = replace(found, works=torch.ones(K, dtype=torch.bool), index=index)
    assert found.flagged() == [3, 1]
    assert found.flagged(1.0) == [3, 1, 2]
    assert found.flagged(3.5) == [3]


def test_the_parameters_reach_the_search() -> None:
    method = NeuralCleanse(
        images=11, passes=12, batch_size=13, mask_lr=0.14, cost=0.15, success=0.16, patience=17,
        classes_at_once=18,
    )  # fmt: skip
    assert method.search() == Search(
        images=11, passes=12, batch_size=13, lr=0.14, cost=0.15, multiplier=2.0, success=0.16,
        patience=17, stop_patience=85, classes_at_once=18,
    )  # fmt: skip
    assert NeuralCleanse().search() == Search(), "by default as in the authors' code"


@pytest.mark.parametrize("share", [0.2, 0.75])
def test_unlearning_stamps_a_share_and_keeps_the_labels(share: float) -> None:
    victim, data = Toy(), toy_data(11)
    method = NeuralCleanse(
        share=share, epochs=2, lr=0.1, batch_size=4, augment="none", anomaly=0.0, images=8,
        passes=2, success=0.0,
    )  # fmt: skip
    model = method(victim, data, seed=Seed(0)).model
    assert isinstance(model, Toy)
    found = reverse_engineer(victim, data, seed=Seed(0).child("search"), search=method.search())
    suspects = found.flagged(0.0)
    assert len(suspects) > 1
    w, slow, sgd = flat(victim), Slow.like(victim), SlowSGD(0.1, 0.9)
    seen = model.seen[-6:]  # the search is before
    for step, batch in enumerate(seen):
        count = max(1, round(share * len(batch)))
        index = []
        for i, image in enumerate(batch):
            k = suspects[i % len(suspects)]
            for j, x in enumerate(data.images):
                mask, pattern = found.masks[k], found.patterns[k]
                stamped = (1 - mask) * x + mask * pattern if i < count else x
                if torch.allclose(image, stamped, rtol=0, atol=1e-12):
                    index.append(j)
        assert len(index) == len(batch)
        y = data.labels[index]
        g = grad(lambda at, x=batch, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step, total=6))
    assert_same(model, w, slow)


def test_without_a_suspect_the_model_is_returned_as_it_came() -> None:
    victim, data = Toy(), toy_data(11)
    model = NeuralCleanse(images=8, passes=2, anomaly=1e9)(victim, data, seed=Seed(0)).model
    assert isinstance(model, Toy)
    assert_same(model, flat(victim), Slow.like(victim))
