"""The search for the smallest perturbation that leads to each class, and their comparison.

The formulas are those of :mod:`remission.inversion.universal`.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from remission.inversion.base import Inversion
from remission.inversion.perturbations import (
    TRIED,
    SearchResult,
    Tried,
    cross_entropies,
    leads,
    logits_under,
    mean_of,
    parts,
    size,
)
from remission.method import field, method
from remission.models import Classifier
from remission.progress import enough, tracked
from remission.seeding import Seed
from remission.training import batches
from remission.triggers.warp_and_add import Family, WarpAndAdd
from remission.types import LabelledImages

_SLIGHT = 0.1  # standard deviation of the first flow, in pixels
_MASK = math.log(0.3 / 0.7)  # logit of the first masks, through which 0.3 of the pattern shows
_PATCH_LR = 0.2
_FINALISTS = 3  # classes whose patch is searched further, since small patches are found late


@dataclass(frozen=True, eq=False)
class Compared:
    """The classes that were searched in full, k of K.

    Args:
        classes: (k,) their indices.
        results: family of the trigger -> the result of its search.
        needs: the same families -> log n_t, (k,).
    """

    classes: Tensor
    results: Mapping[Family, SearchResult]
    needs: Mapping[Family, Tensor]

    def leads(self) -> Tensor:
        """Returns min over j != t of n_j / n_t, one row per family and one column per class."""
        return torch.stack([leads(needed) for needed in self.needs.values()])

    def index(self, target: int) -> int:
        """Returns the column of a class."""
        return self.classes.tolist().index(target)

    def family(self, target: int) -> Family:
        """Returns the family in which a class leads by more."""
        return list(self.needs)[int(self.leads()[:, self.index(target)].argmax())]


@method
class ClassSearch(Inversion, ABC):
    """Parameters and searches of inversions that compare the classes."""

    steps: int = field(default=100, ge=1)
    """Number of steps of Adam per search of one family."""
    batch_size: int = field(default=16, ge=2)
    """Images per step where min(K, ``rivals``) classes are searched, each under the perturbations
    of all of them. Where fewer are searched there are more images, so that a step costs as much."""
    lr: float = field(default=0.05, gt=0)
    """Learning rate of patterns, in units of the images' range."""
    flow_lr: float = field(default=0.1, gt=0)
    """Learning rate of flows, in pixels."""
    grid: int = field(default=4, ge=2, le=64)
    """Number of points of a flow along each side."""
    reach: float = field(default=0.9, gt=0, lt=1)
    """Share of images that shall arrive; above it the size costs more, below it less."""
    refined_reach: float = field(default=0.98, gt=0, lt=1)
    """``reach`` in the last search, that of the perturbation of the named class, or of each
    candidate, alone."""
    rivals: int = field(default=16, ge=2, later=True)
    """Number of classes that a short search leaves, rounded down to an even number. A model with
    more classes has all of them searched for ``short_steps`` first; half of those that go on need
    least by pattern and patch, half by warp. ``voted`` adds up to half as many by their margins."""
    short_steps: int = field(default=20, ge=1, later=True)
    """Number of steps of that first search per family."""

    def compare(
        self, model: Classifier, clean: LabelledImages, also: Sequence[int], seed: Seed
    ) -> Compared:
        """Searches every family for every class, or for those that a short search leaves.

        Args:
            model: the suspect model in eval mode.
            clean: the defender's images with true labels.
            also: classes that are searched in full in any case.
            seed: the source of first values and of the images of each step.
        """
        classes = torch.arange(model.classes, device=clean.labels.device)
        first = {family: self.first(family, clean.shape, model.classes, seed) for family in TRIED}
        if model.classes > self.rivals:
            classes, first = self.hopeful(model, clean, first, also, seed.child("short"))

        def look(family: Tried) -> SearchResult:
            return self.search(
                model, clean, family, classes, first[family], self.reach, seed.child(family)
            )

        results = {family: look(family) for family in get_args(Family)}
        needs = {family: result.needs() for family, result in results.items()}
        wanted = torch.tensor([c in also for c in classes.tolist()], device=classes.device)
        needs["additive"] = self.with_patches(
            needs["additive"], classes, look("patch"), wanted, model, clean, seed
        )
        return Compared(classes, results, needs)

    def hopeful(
        self,
        model: Classifier,
        clean: LabelledImages,
        first: Mapping[Tried, Tensor],
        also: Sequence[int],
        seed: Seed,
    ) -> tuple[Tensor, dict[Tried, Tensor]]:
        """Searches all K classes shortly; returns those that go on, (k,), and their theta.

        Half of them need least by pattern and patch, half by warp; ``also`` are added.
        """
        order = torch.randperm(len(clean), generator=seed.child("some").generator())
        some = clean[order[: 8 * self.batch_size].to(clean.labels.device)]
        short = replace(self, steps=self.short_steps)
        classes = torch.arange(model.classes, device=clean.labels.device)
        results = {
            family: short.search(
                model, some, family, classes, theta, self.reach, seed.child(family)
            )
            for family, theta in first.items()
        }
        needs = {family: result.needs() for family, result in results.items()}
        half = self.rivals // 2
        pairs = (needs["additive"] + needs["patch"]).argsort()[:half].tolist()
        warps = [t for t in needs["warp"].argsort().tolist() if t not in pairs][:half]
        chosen = torch.tensor(sorted({*pairs, *warps, *also}), device=classes.device)
        return chosen, {family: result.theta[chosen] for family, result in results.items()}

    def with_patches(
        self,
        patterns: Tensor,
        classes: Tensor,
        result: SearchResult,
        wanted: Tensor,
        model: Classifier,
        clean: LabelledImages,
        seed: Seed,
    ) -> Tensor:
        """Searches the patches of a few classes further, and of those that are ``wanted``, (k,).

        Returns log n_t, (k,), from log s_t of the added patterns, (k,), and the patches' result.
        """
        patches = result.needs()
        indices = (patterns + patches).argsort()[:_FINALISTS]
        wanted = wanted.nonzero()[:, 0]
        indices = torch.cat([indices, *(w[None] for w in wanted if w not in indices)])
        seed = seed.child("finalists")
        further = self.search(
            model, clean, "patch", classes[indices], result.theta[indices], self.reach, seed
        )
        patches[indices] = patches[indices].minimum(further.needs())
        return (patterns + patches) / 2

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
        """Searches the smallest perturbation of a family for each of some classes.

        Args:
            model: the suspect model in eval mode.
            clean: the defender's images with true labels.
            family: the family of the perturbations.
            classes: (k,) indices of the classes.
            first: (k, ...) the parameters theta with which the search begins.
            reach: share of images that shall arrive.
            seed: the source of the images of each step.
        """
        device, draws = clean.labels.device, seed.generator()
        theta = first.detach().clone().to(device)
        many = max(min(model.classes, self.rivals), len(classes))
        count = min(len(clean), self.batch_size * many // len(classes))
        rate = {"additive": self.lr, "warp": self.flow_lr, "patch": _PATCH_LR}[family]
        optimizer = torch.optim.Adam([theta.requires_grad_(True)], rate)
        cost, arrived = torch.ones(len(classes), device=device), torch.zeros(1, device=device)
        best, least = theta.detach().clone(), torch.full_like(cost, math.inf)
        for _ in tracked(range(self.steps), f"inversion: {family}", self.steps):
            index = torch.randint(len(clean), (enough(count),), generator=draws)
            labels, x = clean.labels[index.to(device)], clean.floats(index)
            other = (labels[None] != classes[:, None]).float()  # (k, B)
            optimizer.zero_grad()
            shares = []
            for some in parts(len(classes), x):
                logits = logits_under(model, x, theta[some], family)  # (k, B, K)
                goal = classes[some, None].expand_as(other[some])
                errors = mean_of(cross_entropies(logits, goal), other[some])
                loss = (errors + cost[some] * size(theta[some], family)).sum()
                loss.backward()  # type: ignore[no-untyped-call]
                shares.append(mean_of((logits.detach().argmax(2) == goal).float(), other[some]))
            with torch.no_grad():
                share, now = torch.cat(shares), size(theta, family)
                arrived = 0.8 * arrived + 0.2 * share
                cost = torch.where(arrived > reach, cost * 1.2, cost / 1.1)
                held = (arrived > reach) & (share > reach)
                # a class where nothing ever arrives keeps its present theta
                smaller = (held & (now < least)) | least.isinf()
                best[smaller] = theta[smaller]
                least = torch.where(held & smaller, now, least)
            optimizer.step()
        return SearchResult(
            best, size(best, family), self.arriving(model, clean, best, family, classes)
        )

    def first(self, family: Tried, shape: tuple[int, int, int], classes: int, seed: Seed) -> Tensor:
        """Returns the first theta: no pattern, a grey one behind an even mask, or a slight flow."""
        if family == "additive":
            return torch.zeros(classes, *shape)
        if family == "patch":
            return torch.cat([torch.full((1, *shape[1:]), _MASK), torch.zeros(shape)]).repeat(
                classes, 1, 1, 1
            )
        draws = seed.child(family).child("first").generator()
        return _SLIGHT * torch.randn(classes, 2, self.grid, self.grid, generator=draws)

    @torch.no_grad()
    def arriving(
        self,
        model: Classifier,
        clean: LabelledImages,
        theta: Tensor,
        family: Tried,
        classes: Tensor,
    ) -> Tensor:
        """Returns the share of images of other classes that arrive at each of ``classes``, (k,)."""
        hits, count = theta.new_zeros(len(theta)), theta.new_zeros(len(theta))
        stream = batches(clean, self.batch_size, generator=None)
        for images, labels in tracked(stream, "", -(-len(clean) // self.batch_size)):
            other = (labels[None] != classes[:, None]).float()
            logits = (
                logits_under(model, images, theta[some], family)
                for some in parts(len(classes), images)
            )
            arrives = torch.cat([each.argmax(2) for each in logits]) == classes[:, None]
            hits, count = hits + (arrives * other).sum(1), count + other.sum(1)
        return hits / count.clamp_min(1)

    def refine(
        self,
        generator: WarpAndAdd,
        target: int,
        compared: Compared,
        model: Classifier,
        clean: LabelledImages,
        seed: Seed,
    ) -> None:
        """Searches the perturbation of one class further, alone, and puts it into ``generator``."""
        family, index = compared.family(target), compared.index(target)
        alone = slice(index, index + 1)
        refined = self.search(
            model,
            clean,
            family,
            compared.classes[alone],
            compared.results[family].theta[alone],
            self.refined_reach,
            seed,
        )
        generator.become(family, refined.theta[0])
