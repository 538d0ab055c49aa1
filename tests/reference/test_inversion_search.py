"""The universal inversion's search replayed class by class; which of its results is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from remission.inversion import Inverted
from remission.inversion.perturbations import SearchResult, Tried
from remission.inversion.universal import Universal
from remission.method import method
from remission.models import Classifier
from remission.seeding import Seed
from remission.triggers.warp_and_add import Family, WarpAndAdd
from remission.types import LabelledImages
from tests.reference.adam import SlowAdam
from tests.reference.toy import SIDE, C, K, Slow, Toy, cross_entropy, flat, toy_data

REACH = 0.45
RATE = {"additive": 0.25, "patch": 0.2}


@dataclass
class SlowSearch:
    """The pattern, or the mask and pattern, of one class, with ifs, as one flat vector."""

    target: int
    theta: Tensor
    adam: SlowAdam
    patch: bool = False
    cost: float = 1.0
    arrived: float = 0.0
    least: float = math.inf
    best: Tensor | None = None
    tried: Tensor | None = None

    def step(self, slow: Slow, w: Tensor, data: LabelledImages, index: list[int]) -> None:
        """Makes one update, on the images of other classes in the batch."""
        others = [n for n in index if int(data.labels[n]) != self.target]
        x, goal = data.images[others], torch.full((len(others),), self.target)
        shown = under(x, self.theta, patch=self.patch)
        shown.requires_grad_(True)  # only now: clipping lets gradients through
        logits = slow.logits(w, shown, train=False)
        g = self.back(torch.autograd.grad(cross_entropy(logits, goal), shown)[0], x)
        share = sum(int(row.argmax()) == self.target for row in logits) / len(others)
        self.arrived = 0.8 * self.arrived + 0.2 * share
        self.cost = self.cost * 1.2 if self.arrived > REACH else self.cost / 1.1
        enough = self.arrived > REACH and share > REACH
        if enough and self.length() < self.least:
            self.least, self.best = self.length(), self.theta
        self.tried, self.theta = self.theta, self.adam.step(self.theta, g)

    def back(self, g: Tensor, x: Tensor) -> Tensor:
        """Returns the gradient at theta from that at the images, the cost of its size included."""
        if not self.patch:
            g = g.sum(0).flatten()
            if length(self.theta) > 0:
                g = g + self.cost * self.theta / (len(self.theta) * length(self.theta))
            return g
        m, p = parts(self.theta)
        by_mask = (g * (p - x)).sum((0, 1)) + self.cost / (SIDE * SIDE)
        return torch.cat(
            [(by_mask * m * (1 - m)).flatten(), (g.sum(0) * m * p * (1 - p)).flatten()]
        )

    def length(self) -> float:
        """The size of the current pattern or patch."""
        return measured(self.theta, patch=self.patch)

    def found(self) -> Tensor:
        """The smallest result that moves enough images; without one, the last result."""
        found = self.tried if self.best is None else self.best
        assert found is not None
        return found


def length(theta: Tensor) -> float:
    """Returns the root mean square."""
    return math.sqrt(sum(float(v) ** 2 for v in theta) / len(theta))


def parts(theta: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the (SIDE, SIDE) mask and (C, SIDE, SIDE) pattern of a patch."""
    both = 1 / (1 + torch.exp(-theta.view(1 + C, SIDE, SIDE)))
    return both[0], both[1:]


def measured(theta: Tensor, *, patch: bool) -> float:
    """Returns the root mean square of a pattern, or the mean of a patch's mask."""
    return float(sum(parts(theta)[0].flatten())) / SIDE**2 if patch else length(theta)


def under(x: Tensor, theta: Tensor, *, patch: bool) -> Tensor:
    """Returns the images for the model."""
    if patch:
        m, p = parts(theta)
        return x - m * x + m * p
    return (x + theta.view(C, SIDE, SIDE)).clamp(0, 1)


def sent(slow: Slow, w: Tensor, data: LabelledImages, one: SlowSearch) -> float:
    """Returns the share of images of other classes that a result moves into its class."""
    others = data.images[data.labels != one.target]
    logits = slow.logits(w, under(others, one.found(), patch=one.patch), train=False)
    return sum(int(row.argmax()) == one.target for row in logits) / len(others)


@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [0]])
def test_every_update_of_the_search(classes: list[int], patch: bool) -> None:
    model, data = Toy(seed=2).eval().requires_grad_(False), toy_data(11, seed=3)
    slow, w = Slow.like(model), flat(model)
    method = Universal(steps=24, batch_size=8, lr=RATE["additive"])
    family: Tried = "patch" if patch else "additive"
    channels = 1 + C if patch else C
    first = 0.01 * torch.randn(4, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    first = first[classes].double()
    found = method.search(model, data, family, torch.tensor(classes), first, REACH, Seed(3))

    pairs = zip(classes, first, strict=True)
    searches = [SlowSearch(k, each.flatten(), SlowAdam(RATE[family]), patch) for k, each in pairs]
    draws, count = Seed(3).generator(), min(11, 8 * K // len(classes))
    for _ in range(24):
        index = torch.randint(11, (count,), generator=draws).tolist()
        for one in searches:
            one.step(slow, w, data, index)
    for place, one in enumerate(searches):
        best = one.found()
        torch.testing.assert_close(found.theta[place].flatten(), best, rtol=1e-5, atol=1e-6)
        assert float(found.size[place]) == pytest.approx(measured(best, patch=patch), rel=1e-5)
        wanted = sent(slow, w, data, one)
        assert float(found.share[place]) == pytest.approx(wanted)
    # all that can happen does: one settles on an earlier pattern, another never sends enough
    if not patch:
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


SIZES: dict[Tried, list[float]] = {
    "additive": [1.0, 0.3, 1.1, 0.25],
    "patch": [0.5, 0.1, 0.6, 0.9],
    "warp": [1.2, 1.0, 0.9, 0.6],
}
"""Patterns name class 3, patches class 1, both together class 1; warps class 3, and by less."""
TORN = [1.2, 1.0, 0.9, 1e-3]
"""Of warps that name class 3 by more."""
FURTHER = {0: 0.6, 1: 0.08, 2: 0.55, 3: 0.7}
"""The patch's size of each class that is searched further, not always smaller."""


@dataclass(frozen=True)
class Asked:
    """The arguments of a call of a search."""

    family: Tried
    classes: list[int]
    first: Tensor
    reach: float
    seed: Seed


@method
class Planned(Universal):
    """A search that finds :data:`SIZES`; for one class alone it finds twice its start."""

    asked: ClassVar[list[Asked]] = []
    torn: bool = False

    def search(
        self,
        model: Classifier,
        clean: LabelledImages,
        family: Tried,
        classes: Tensor,
        first: Tensor,
        reach: float,
        seed: Seed,
    ) -> SearchResult:
        self.asked.append(Asked(family, classes.tolist(), first.clone(), reach, seed))
        if len(classes) == 1:
            return SearchResult(2 * first, torch.ones(1), torch.ones(1))
        if len(classes) < K:
            sizes = [FURTHER[k] for k in classes.tolist()]
            return SearchResult(first, torch.tensor(sizes), torch.ones(len(classes)))
        sizes = TORN if self.torn and family == "warp" else SIZES[family]
        return SearchResult(thetas(family, first), torch.tensor(sizes), torch.ones(K))


def thetas(family: Tried, like: Tensor) -> Tensor:
    """Returns k + 1 for class k, a tenth of it for patterns and a hundredth for warps."""
    by_class = torch.arange(1.0, K + 1) * (0.1 if family == "additive" else 0.01)
    return by_class.view(-1, 1, 1, 1).expand_as(like)


def together(k: int) -> float:
    """Returns the geometric mean of both sizes of class k, whose patch was searched further."""
    least = min(SIZES["patch"][k], FURTHER[k])
    return math.sqrt(SIZES["additive"][k] * least)


@pytest.mark.parametrize(
    ("torn", "told", "family", "named", "lead"),
    [
        (False, None, "additive", 1, together(3) / together(1)),
        (True, None, "warp", 3, 0.9 / 1e-3),
        (True, 1, "additive", 1, together(3) / together(1)),
        (False, 2, "warp", 2, 0.6 / 0.9),
    ],
)
def test_the_named_class_is_searched_further_and_that_is_the_trigger(
    torn: bool, told: int | None, family: Family, named: int, lead: float
) -> None:
    """It is the class that leads most, or in a later round the class that the last round named."""
    Planned.asked.clear()
    model, data = Toy().float().eval(), toy_data(6)
    data = LabelledImages(data.images.float(), data.labels)
    method, previous = Planned(grid=3, reach=0.7, refined_reach=0.8, torn=torn), None
    if told is not None:
        generator = WarpAndAdd((C, SIDE, SIDE), 3)
        previous = Inverted(generator=generator, target=told, target_share=0.5, change=0.1)
    found = method(model, data, seed=Seed(0), previous=previous)

    *searches, refined = Planned.asked
    assert [(each.family, each.classes, each.reach) for each in searches] == [
        ("additive", [0, 1, 2, 3], 0.7),
        ("warp", [0, 1, 2, 3], 0.7),
        ("patch", [0, 1, 2, 3], 0.7),
        ("patch", [1, 3, 0, 2] if told == 2 else [1, 3, 0], 0.7),
    ]
    assert len({each.seed for each in [*searches, refined]}) == 5
    half = torch.full((K, SIDE, SIDE), 0.3)
    torch.testing.assert_close(searches[2].first[:, 0].sigmoid(), half)
    assert float(searches[2].first[:, 1:].abs().max()) == 0
    assert torch.equal(searches[3].first, thetas("patch", searches[2].first)[searches[3].classes])
    assert float(searches[0].first.abs().max()) == 0
    assert searches[1].first.shape == (K, 2, 3, 3)
    assert 0.05 < float(searches[1].first.std()) < 0.2, "a flow of zero has no gradient"
    assert (refined.family, refined.classes, refined.reach) == (family, [named], 0.8)
    begun = thetas(family, searches[family == "warp"].first)[named : named + 1]
    assert torch.equal(refined.first, begun)

    assert found.target == named
    assert found.lead == pytest.approx(lead)
    assert isinstance(found.generator, WarpAndAdd)
    trigger, other = found.generator.pattern, found.generator.flow
    if family == "warp":
        trigger, other = other, trigger
    assert torch.equal(trigger, 2 * begun[0])
    assert float(other.abs().max()) == 0
