"""How far two models lie apart in weight space, as a whole and layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from remission.models import Classifier


@dataclass(frozen=True)
class Distance:
    """Euclidean distances between the parameters of two models; running statistics do not count.

    Args:
        total: over all parameters together.
        relative: the total divided by the norm of the first model; None if that norm is 0.
        layers: name of each layer with parameters of its own, in the model's order -> both numbers
            over the parameters of this layer together.
    """

    total: float
    relative: float | None
    layers: dict[str, tuple[float, float | None]]


@torch.no_grad()
def weight_distance(start: Classifier, end: Classifier) -> Distance:
    """Measures how far ``end`` lies from ``start``; sums are taken in float64.

    Both models are of the same architecture and on the same device.
    """
    moved: dict[str, tuple[float, float]] = {}  # squares: of the difference, of the start
    pairs = zip(start.named_parameters(), end.named_parameters(), strict=True)
    for (name, a), (_, b) in pairs:
        layer = name.rpartition(".")[0]
        before = moved.get(layer, (0.0, 0.0))
        moved[layer] = (before[0] + _square(b.double() - a), before[1] + _square(a.double()))
    squares = [math.fsum(column) for column in zip(*moved.values(), strict=True)]
    total, relative = _both(squares[0], squares[1])
    return Distance(total, relative, {layer: _both(*sums) for layer, sums in moved.items()})


def _square(values: Tensor) -> float:
    return float(values.square().sum())


def _both(difference: float, norm: float) -> tuple[float, float | None]:
    return math.sqrt(difference), math.sqrt(difference / norm) if norm else None
