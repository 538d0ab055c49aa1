"""Curves of low loss between two networks (Garipov et al., NeurIPS 2018, arXiv 1802.10026).

A quadratic Bezier curve with fixed ends A and B and one bend theta,

    gamma(t) = (1 - t)^2 A + 2 t (1 - t) theta + t^2 B,

is taken over all parameters. theta begins halfway and minimises E[L(gamma(t))] with t uniform in
(0, 1), by one t per batch. Running statistics are no part of the curve: whoever uses a point of it
has to collect them anew there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from remission.seeding import Seed
from remission.training.loop import Backward, Recipe, fit
from remission.training.weights import Direction, Weights
from remission.types import LabelledImages


@dataclass(frozen=True, eq=False)
class Curve:
    """A quadratic Bezier curve in weight space.

    Args:
        start: A, at t = 0, one tensor per trainable parameter.
        bend: theta.
        end: B, at t = 1.
    """

    start: Direction
    bend: Direction
    end: Direction

    @torch.no_grad()
    def put(self, model: nn.Module, t: float) -> None:
        """Sets the trainable parameters of ``model`` to gamma(t)."""
        into: Direction = [p for p in model.parameters() if p.requires_grad]
        _put(into, self.start, self.bend, self.end, t)


def connect(
    model: nn.Module,
    end: nn.Module,
    data: LabelledImages,
    recipe: Recipe,
    *,
    seed: Seed,
    what: str = "curve",
) -> Curve:
    """Trains a curve from ``model`` to ``end``; weight decay pulls at the bend.

    Args:
        model: the start of the curve. Training changes its trainable weights and its statistics;
            in the end the weights are the bend.
        end: a model of the same architecture; it stays as it is.
        data: training images on the models' device.
        recipe: how to train the bend.
        seed: the source of the images' order and augmentation, and of the positions t.
        what: the name of this work, shown as progress.
    """
    weights = Weights(model)
    first = [w.detach().clone() for w in weights.now]
    pairs = zip(model.parameters(), end.parameters(), strict=True)
    last = [other.detach().clone() for w, other in pairs if w.requires_grad]
    positions = seed.child("t").generator()
    with torch.no_grad():
        torch._foreach_lerp_(weights.now, last, 0.5)

    def gradient(backward: Backward) -> Tensor:
        t = float(torch.rand((), generator=positions))
        weights.keep()
        with torch.no_grad():
            _put(weights.now, first, weights.now, last, t)
        loss = backward()
        weights.back()
        torch._foreach_mul_(weights.gradients(), 2 * t * (1 - t))  # d gamma(t) / d theta
        return loss

    fit(model, data, recipe, seed=seed, what=what, gradient=gradient)
    return Curve(first, [w.detach().clone() for w in weights.now], last)


def _put(into: Direction, start: Direction, bend: Direction, end: Direction, t: float) -> None:
    """Writes gamma(t) into ``into``, which may be the bend itself."""
    torch._foreach_copy_(into, bend)
    torch._foreach_mul_(into, 2 * t * (1 - t))
    torch._foreach_add_(into, start, alpha=(1 - t) ** 2)
    torch._foreach_add_(into, end, alpha=t**2)
