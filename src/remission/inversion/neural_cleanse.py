"""Trigger reverse-engineering of Neural Cleanse (Wang et al., IEEE S&P 2019).

For every class t a mask m in [0, 1] and a pattern p are optimised that send all images to t,

    min over m, p of CE(f((1 - m) * x + m * p), t) + cost * |m|_1,

with m = tanh(a) / 2 + 1/2, the same in all channels, and p likewise. The cost starts at 0 and is
set once the trigger has worked for some passes. Then it is raised while the trigger works and
lowered while it does not; the smallest mask that worked is kept. A class whose mask is far smaller
than the others' is suspect. Its anomaly index is how far its norm lies below the median, in units
of the median absolute deviation, which is 1.4826 times the median of all distances.

The median of an even number of values is the mean of the middle two, as in the authors' code; in
BackdoorBench it is the lower one. A class for which no trigger works is never flagged; in the
authors' code its last mask counts like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.models import Classifier, evaluating, frozen
from remission.progress import tracked
from remission.seeding import Seed
from remission.training import batches
from remission.types import LabelledImages

CONSISTENCY = 1.4826
"""Standard deviation of normally distributed values, per median absolute distance."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How triggers are optimised; the defaults are the authors' code's.

    Args:
        images: number of clean images per pass; each pass draws them anew.
        passes: number of passes at most; a class stops earlier when its mask shrinks no more.
        batch_size: images per step of Adam.
        lr: learning rate of Adam, with betas 0.5 and 0.9.
        cost: first weight of the mask's norm.
        multiplier: factor by which the cost is raised; it is lowered by this to the power of 1.5.
        success: share of images that a trigger must send to its class to count as working.
        patience: number of passes in a row in which a trigger works, or does not, before the cost
            changes.
        stop_patience: number of passes without a smaller mask after which a class stops.
        classes_at_once: number of classes per forward pass; the result does not depend on it.
    """

    images: int = 1000
    passes: int = 1000
    batch_size: int = 32
    lr: float = 0.1
    cost: float = 1e-3
    multiplier: float = 2.0
    success: float = 0.99
    patience: int = 5
    stop_patience: int = 25
    classes_at_once: int = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class ReversedTriggers:
    """A reverse-engineered trigger for each of K classes.

    Args:
        masks: (K, 1, H, W) in [0, 1].
        patterns: (K, C, H, W) in [0, 1].
        norms: (K,) L1 norms of the masks, in pixels.
        works: (K,) whether the trigger sends enough images to its class.
        index: (K,) anomaly index, positive where the mask is smaller than the median.
    """

    masks: Tensor
    patterns: Tensor
    norms: Tensor
    works: Tensor
    index: Tensor

    def flagged(self, threshold: float = 2.0) -> list[int]:
        """Returns the classes with an index above ``threshold``, the most suspect first."""
        order = self.index.argsort(descending=True, stable=True).tolist()
        return [k for k in order if bool(self.works[k]) and float(self.index[k]) > threshold]

    def stamp(self, images: Tensor, classes: Tensor) -> Tensor:
        """Stamps images (N, C, H, W) with the triggers of ``classes`` (N,)."""
        mask, pattern = self.masks[classes], self.patterns[classes]
        return (1 - mask) * images + mask * pattern


def reverse_engineer(
    model: Classifier,
    clean: LabelledImages,
    *,
    seed: Seed,
    search: Search | None = None,
    what: str = "reverse-engineering",
) -> ReversedTriggers:
    """Finds a trigger for every class of ``model``, which is left as it is.

    Args:
        model: the suspect model; during the search it is in eval mode.
        clean: clean images on the model's device; labels are not used.
        seed: the source of the first masks and patterns, and of the images' order.
        search: how to search; None: with the defaults.
        what: the name of this work, shown as progress.
    """
    search = search or Search()
    channels, height, width = clean.shape
    masks = model.mean.new_ones(model.classes, 1, height, width)
    patterns = model.mean.new_zeros(model.classes, channels, height, width)
    works = torch.zeros(model.classes, dtype=torch.bool)
    with evaluating(model), frozen(model):
        for classes in torch.split(torch.arange(model.classes), search.classes_at_once):
            raw = _first(classes, clean.shape, seed).to(masks)
            best = _Best(raw[:, :1].clone(), raw[:, 1:].clone(), _Cost(len(classes), search))
            _optimise(model, clean, classes.to(clean.labels.device), best, search, seed, what)
            masks[classes], patterns[classes] = best.masks, best.patterns
            works[classes] = best.cost.best < torch.inf
    norms = masks.sum((1, 2, 3)).double().cpu()
    return ReversedTriggers(
        masks=masks, patterns=patterns, norms=norms, works=works, index=anomaly_index(norms)
    )


def anomaly_index(norms: Tensor) -> Tensor:
    """Returns how far each of (K,) norms lies below the median, in units of the deviation.

    Where the deviation is 0, a norm that differs from the median is infinitely far from it.
    """
    below = norms.quantile(0.5) - norms
    deviation = CONSISTENCY * below.abs().quantile(0.5)
    return torch.where(below == 0, 0.0, below / deviation)


def squashed(raw: Tensor) -> Tensor:
    """tanh(a) / 2 + 1/2, from any real number into (0, 1)."""
    return raw.tanh() / 2 + 0.5


def _first(classes: Tensor, shape: tuple[int, int, int], seed: Seed) -> Tensor:
    """Draws masks and patterns (k, 1 + C, H, W) that are uniform in [0, 1] once squashed."""
    drawn = torch.zeros(len(classes), 1 + shape[0], *shape[1:])
    for values, k in zip(drawn, classes.tolist(), strict=True):
        values.uniform_(generator=seed.child("class", k).generator())
    return (2 * drawn - 1).mul(1 - 1e-6).atanh()


class _Best:
    """The best masks and patterns of some classes so far; at first those of the beginning."""

    def __init__(self, raw_masks: Tensor, raw_patterns: Tensor, cost: _Cost) -> None:
        self.raw_masks, self.raw_patterns, self.cost = raw_masks, raw_patterns, cost
        self.masks, self.patterns = squashed(raw_masks), squashed(raw_patterns)

    def keep(self, chosen: Tensor) -> None:
        """Makes the present masks and patterns the best for the classes ``chosen``, (k,) bool."""
        index = chosen.nonzero().flatten().to(self.masks.device)
        with torch.no_grad():
            self.masks[index] = squashed(self.raw_masks[index])
            self.patterns[index] = squashed(self.raw_patterns[index])


def _optimise(
    model: Classifier,
    clean: LabelledImages,
    classes: Tensor,
    best: _Best,
    search: Search,
    seed: Seed,
    what: str,
) -> None:
    """Searches the triggers of ``classes`` together, each as if it were alone."""
    raw = [best.raw_masks.requires_grad_(True), best.raw_patterns.requires_grad_(True)]
    optimizer = torch.optim.Adam(raw, search.lr, betas=(0.5, 0.9))
    count = min(search.images, len(clean))
    steps = -(-count // search.batch_size)
    stream = _passes(clean, count, search, seed.child("images"))
    hits, norms, seen = (torch.zeros(len(classes), device=classes.device) for _ in range(3))
    for done, images in enumerate(tracked(stream, what, search.passes * steps), start=1):
        active = (~best.cost.stopped).nonzero().flatten().to(classes.device)
        masks, patterns = (squashed(values[active]) for values in raw)
        stamped = (1 - masks[:, None]) * images + masks[:, None] * patterns[:, None]
        wanted = classes[active].repeat_interleave(len(images))
        logits = model(stamped.flatten(0, 1))
        length = masks.sum((1, 2, 3))
        error = F.cross_entropy(logits, wanted, reduction="sum") / len(images)
        weight = best.cost.now.to(length)[active]
        optimizer.zero_grad()
        loss = error + (weight * length).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        right = (logits.argmax(1) == wanted).view(len(active), -1)
        hits[active] += right.sum(1)
        norms[active] += length.detach() * len(images)
        seen[active] += len(images)
        if done % steps == 0:
            better = best.cost.update((hits / seen).double().cpu(), (norms / seen).double().cpu())
            best.keep(better)
            if bool(best.cost.stopped.all()):
                break
            for total in (hits, norms, seen):
                total.zero_()
    best.keep(best.cost.best == torch.inf)


def _passes(clean: LabelledImages, count: int, search: Search, seed: Seed) -> Iterator[Tensor]:
    """Yields batches of images, pass after pass."""
    generator = seed.generator()
    for _ in range(search.passes):
        drawn = torch.randperm(len(clean), generator=generator)[:count]
        for images, _ in batches(clean, search.batch_size, generator=None, only=drawn):
            yield images


class _Cost:
    """The weight of each class's mask norm, which also says when a class stops."""

    def __init__(self, count: int, search: Search) -> None:
        self.search = search
        self.now, self.best = torch.zeros(count).double(), torch.full((count,), torch.inf).double()
        self._last_best = self.best.clone()
        self._waited, self._up, self._down, self._stale = torch.zeros(4, count).long()
        self._raised, self._lowered, self.stopped = torch.zeros(3, count).bool()

    def update(self, success: Tensor, norms: Tensor) -> Tensor:
        """Adapts the weights after a pass; returns whose mask is the smallest that worked, (K,).

        Args:
            success: (K,) share of images that the trigger sent to its class in this pass.
            norms: (K,) mean norm of the mask in this pass.
        """
        search, running = self.search, ~self.stopped
        works = (success >= search.success) & running
        better: Tensor = works & (norms < self.best)
        self.best = torch.where(better, norms, self.best)
        shrinks = (self.best < self._last_best) | (self.best == torch.inf)
        self._stale = torch.where(shrinks, 0, self._stale + 1)
        self._last_best = self.best
        done = self._raised & self._lowered & (self._stale >= search.stop_patience)
        self.stopped = self.stopped | done

        idle = self.now == 0
        self._waited = torch.where(idle & works, self._waited + 1, 0)
        starts = idle & (self._waited >= search.patience)
        self.now = torch.where(starts, search.cost, self.now)
        self._raised, self._lowered = self._raised & ~starts, self._lowered & ~starts
        self._up = torch.where(works, torch.where(starts, 0, self._up) + 1, 0)
        self._down = torch.where(works, 0, self._down + 1)

        up, down = self._up >= search.patience, self._down >= search.patience
        self.now = torch.where(up, self.now * search.multiplier, self.now)
        self.now = torch.where(down, self.now / search.multiplier**1.5, self.now)
        self._up, self._down = torch.where(up, 0, self._up), torch.where(down, 0, self._down)
        self._raised, self._lowered = self._raised | up, self._lowered | down
        return better
