"""The universal inversion's search replayed class by class; which of its results is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from remission.inversion import Inverted
from remission.inversion.universal import Searched, Universal
from remission.method import method
from remission.models import Classifier
from remission.seeding import Seed
from remission.triggers.perturbation import Family, Perturbation
from remission.types import LabelledImages

from .adam import SlowAdam
from .toy import SIDE, C, K, Slow, Toy, cross_entropy, flat, toy_data

REACH = 0.45


@dataclass
class SlowSearch:
    """The pattern of one class, with ifs, as one flat vector."""

    target: int
    theta: Tensor
    adam: SlowAdam
    cost: float = 1.0
    arrived: float = 0.0
    least: float = math.inf
    best: Tensor | None = None
    tried: Tensor | None = None

    def step(self, slow: Slow, w: Tensor, data: LabelledImages, index: list[int]) -> None:
        """One update, on the images of other classes among those drawn."""
        others = [n for n in index if int(data.labels[n]) != self.target]
        x, goal = data.images[others], torch.full((len(others),), self.target)
        shown = (x + self.theta.view(C, SIDE, SIDE)).clamp(0, 1)
        shown.requires_grad_(True)  # only now: clipping lets gradients through
        logits = slow.logits(w, shown, train=False)
        g = torch.autograd.grad(cross_entropy(logits, goal), shown)[0].sum(0).flatten()
        if length(self.theta) > 0:
            g = g + self.cost * self.theta / (len(self.theta) * length(self.theta))
        share = sum(int(row.argmax()) == self.target for row in logits) / len(others)
        self.arrived = 0.8 * self.arrived + 0.2 * share
        self.cost = self.cost * 1.2 if self.arrived > REACH else self.cost / 1.1
        enough = self.arrived > REACH and share > REACH
        if enough and length(self.theta) < self.least:
            self.least, self.best = length(self.theta), self.theta
        self.tried, self.theta = self.theta, self.adam.step(self.theta, g)

    def found(self) -> Tensor:
        """The smallest that sent enough; where none did, the last one that was tried."""
        found = self.tried if self.best is None else self.best
        assert found is not None
        return found


def length(theta: Tensor) -> float:
    """Root mean square."""
    return math.sqrt(sum(float(v) ** 2 for v in theta) / len(theta))


def sent(slow: Slow, w: Tensor, data: LabelledImages, theta: Tensor, target: int) -> float:
    """The share of all images of other classes that a pattern sends to its class."""
    others = data.images[data.labels != target]
    shown = (others + theta.view(C, SIDE, SIDE)).clamp(0, 1)
    logits = slow.logits(w, shown, train=False)
    return sum(int(row.argmax()) == target for row in logits) / len(others)


@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [0]])
def test_every_update_of_the_search(classes: list[int]) -> None:
    model, data = Toy(seed=2).eval().requires_grad_(False), toy_data(11, seed=3)
    slow, w = Slow.like(model), flat(model)
    method = Universal(steps=24, batch_size=8, lr=0.2)
    first = 0.01 * torch.randn(4, C, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    first = first[classes].double()
    found = method.search(model, data, "additive", torch.tensor(classes), first, REACH, Seed(3))

    pairs = zip(classes, first, strict=True)
    searches = [SlowSearch(k, each.flatten(), SlowAdam(0.2)) for k, each in pairs]
    draws, count = Seed(3).generator(), min(11, 8 * K // len(classes))
    for _ in range(24):
        index = torch.randint(11, (count,), generator=draws).tolist()
        for one in searches:
            one.step(slow, w, data, index)
    for place, one in enumerate(searches):
        best = one.found()
        torch.testing.assert_close(found.theta[place].flatten(), best, rtol=1e-5, atol=1e-6)
        assert float(found.size[place]) == pytest.approx(length(best), rel=1e-5)
        wanted = sent(slow, w, data, best, one.target)
        assert float(found.share[place]) == pytest.approx(wanted)
    # all that can happen does: one settles on an earlier pattern, another never sends enough
    assert any(length(one.found()) < 0.9 * length(one.theta) for one in searches)
    if len(classes) > 1:
        assert any(one.best is None for one in searches)


def test_flows_have_a_learning_rate_of_their_own() -> None:
    model, data = Toy().eval().requires_grad_(False), toy_data(11)
    method = Universal(steps=2, batch_size=8, lr=0.5, flow_lr=0.03, grid=3)
    first = 0.1 * torch.randn(K, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    found = method.search(model, data, "warp", torch.arange(K), first, REACH, Seed(3))
    moved = (found.theta - first).abs()  # nothing arrives: as after the first step of Adam
    torch.testing.assert_close(moved, torch.full_like(moved, 0.03), rtol=1e-3, atol=0)


SIZES: dict[Family, list[float]] = {"additive": [1.0, 0.3, 1.1, 0.9], "warp": [1.2, 1.0, 0.9, 1e-3]}
"""By patterns class 1 stands out, by warps class 3, and more."""


@dataclass(frozen=True)
class Asked:
    """With what a search was asked for."""

    family: Family
    classes: list[int]
    first: Tensor
    reach: float


@method
class Planned(Universal):
    """Finds what :data:`SIZES` says; a search of one class alone finds twice where it began."""

    asked: ClassVar[list[Asked]] = []

    def search(
        self,
        model: Classifier,
        clean: LabelledImages,
        family: Family,
        classes: Tensor,
        first: Tensor,
        reach: float,
        seed: Seed,
    ) -> Searched:
        self.asked.append(Asked(family, classes.tolist(), first.clone(), reach))
        if len(classes) == 1:
            return Searched(2 * first, torch.ones(1), torch.ones(1))
        return Searched(thetas(family, first), torch.tensor(SIZES[family]), torch.ones(K))


def thetas(family: Family, like: Tensor) -> Tensor:
    """Class k's is k + 1, a tenth for patterns and a hundredth for warps."""
    by_class = torch.arange(1.0, K + 1) * (0.1 if family == "additive" else 0.01)
    return by_class.view(-1, 1, 1, 1).expand_as(like)


@pytest.mark.parametrize(("told", "family", "named"), [(None, "warp", 3), (1, "additive", 1)])
def test_the_named_class_is_searched_further_and_that_is_the_trigger(
    told: int | None, family: Family, named: int
) -> None:
    """The class that stands out most; in a later round the one that the last round named."""
    Planned.asked.clear()
    model, data = Toy().float().eval(), toy_data(6)
    data = LabelledImages(data.images.float(), data.labels)
    method, previous = Planned(grid=3, reach=0.7, refined_reach=0.8), None
    if told is not None:
        generator = Perturbation((C, SIDE, SIDE), 3)
        previous = Inverted(generator=generator, target=told, target_share=0.5, change=0.1)
    found = method(model, data, seed=Seed(0), previous=previous)

    *searches, refined = Planned.asked
    assert [(each.family, each.classes, each.reach) for each in searches] == [
        ("additive", [0, 1, 2, 3], 0.7),
        ("warp", [0, 1, 2, 3], 0.7),
    ]
    assert float(searches[0].first.abs().max()) == 0
    assert searches[1].first.shape == (K, 2, 3, 3)
    assert 0.05 < float(searches[1].first.std()) < 0.2, "a flow of zero has no gradient"
    assert (refined.family, refined.classes, refined.reach) == (family, [named], 0.8)
    begun = thetas(family, searches[family == "warp"].first)[named : named + 1]
    assert torch.equal(refined.first, begun)

    assert found.target == named
    sizes = torch.tensor(SIZES[family])
    assert found.anomaly == float(Searched(begun, sizes, torch.ones(K)).anomaly()[named])
    assert isinstance(found.generator, Perturbation)
    trigger, other = found.generator.pattern, found.generator.flow
    if family == "warp":
        trigger, other = other, trigger
    assert torch.equal(trigger, 2 * begun[0])
    assert float(other.abs().max()) == 0
