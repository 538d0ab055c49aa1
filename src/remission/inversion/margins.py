"""The maximum margin of each class, compared with that of models that nobody attacked.

A backdoor makes a model very sure of its target class on some images that are far from all natural
ones (MM-BD: Wang et al., S&P 2024, arXiv 2205.06900). So for every class t,

    v_t = max over x in [0, 1]^d of  f_t(x) - max over j != t of f_j(x),

is sought by gradient ascent from random images. Classes differ in v_t without any backdoor too.
Unlike MM-BD, which compares the classes of one model, each v_t is therefore divided by that of
references f^1, ..., f^m: models that were trained on the defender's own clean images,

    r_t = v_t(f) / (v_t(f^1) * ... * v_t(f^m))^(1/m).

A class whose r_t stands out has a margin that clean images of this kind do not explain. How much
log r_t varies without any backdoor is read from the references, each compared with all others: with
q_t^i the logarithm of the same ratio of f^i to the references but f^i, less its mean over t,

    sigma = (mean over i and t of (q_t^i)^2)^(1/2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from remission.models import Classifier, evaluating, frozen
from remission.progress import tracked
from remission.seeding import Seed

_AT_ONCE = 512  # images per forward pass
_LEAST = 1e-3  # a margin below is no margin: the logarithm of a ratio stays finite


@dataclass(frozen=True, kw_only=True)
class MarginSearch:
    """How the images are optimised.

    Args:
        starts: number of random images per class; the largest margin among them counts.
        steps: number of steps of Adam per image.
        lr: learning rate of Adam, in units of the images' range.
    """

    starts: int = 8
    steps: int = 120
    lr: float = 0.05


def maximum_margins(model: Classifier, classes: Tensor, search: MarginSearch, seed: Seed) -> Tensor:
    """Returns v_t of some classes, (k,), in units of logits.

    Args:
        model: left as it is; in eval mode during the search.
        classes: (k,) indices of the classes.
        search: how the images are optimised.
        seed: the source of the random images, which are the same for every model.
    """
    shape, draws = (search.starts, *model.shape), seed.child("starts").generator()
    images = torch.rand(shape, generator=draws).to(model.mean)
    goals = classes.to(images.device).repeat_interleave(search.starts)
    found = []
    with evaluating(model), frozen(model):
        parts = torch.split(goals, _AT_ONCE)
        for number, part in enumerate(parts):
            indices = torch.arange(len(part), device=images.device) + number * _AT_ONCE
            found.append(_climbed(model, images[indices % search.starts], part, search))
    return torch.cat(found).view(-1, search.starts).amax(1)


def _climbed(model: Classifier, first: Tensor, goals: Tensor, search: MarginSearch) -> Tensor:
    """Climbs from ``first`` (n, C, H, W) toward the goals (n,); returns the largest margins."""
    images = first.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([images], search.lr)
    best = torch.full((len(goals),), -torch.inf, device=images.device)
    for _ in tracked(range(search.steps), "maximum margins", search.steps):
        optimizer.zero_grad()
        margin = margins(model(images), goals)
        (-margin.sum()).backward()  # type: ignore[no-untyped-call]
        best = best.maximum(margin.detach())
        optimizer.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    with torch.no_grad():
        return best.maximum(margins(model(images), goals))


def margins(logits: Tensor, goals: Tensor) -> Tensor:
    """Returns f_t - max over k != t of f_k from logits (n, K) and classes t (n,); it is (n,)."""
    goal = logits.gather(1, goals[:, None])
    others = logits.scatter(1, goals[:, None], -torch.inf)
    return goal[:, 0] - others.amax(1)


@dataclass(frozen=True, eq=False)
class MarginRatios:
    """How the maximum margins of a model compare with those of references.

    Args:
        log: (k,) log r_t of each class.
        sigma: root mean square of q_t^i, an estimate of how much log r_t varies without a backdoor.
    """

    log: Tensor
    sigma: float


def margin_ratios(
    model: Classifier,
    references: Sequence[Classifier],
    classes: Tensor,
    search: MarginSearch,
    seed: Seed,
) -> MarginRatios:
    """Compares a model with at least two references; arguments as of :func:`maximum_margins`."""
    own, *others = (
        maximum_margins(each, classes, search, seed).float().clamp_min(_LEAST).log()
        for each in (model, *references)
    )
    log_v = torch.stack(others)  # (m, k)
    without = (log_v.sum(0) - log_v) / (len(others) - 1)
    q = log_v - without
    q = q - q.mean(1, keepdim=True)
    return MarginRatios(own - log_v.mean(0), float(q.square().mean().sqrt()))
