"""The plane through three models in weight space (Garipov et al., NeurIPS 2018, appendix).

With w_1, w_2, w_3 the weights of the backdoored, the purified and the retuned model, Gram-Schmidt
gives two directions at right angles,

    u = w_2 - w_1,   v = (w_3 - w_1) - <w_3 - w_1, u> / <u, u> * u,

and a point (x, y) of the plane is w_1 + x * u / ||u|| + y * v / ||v|| (arXiv 1802.10026). Running
statistics are collected anew at every point.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from remission.models import Classifier
from remission.paths.walk import unmeasured
from remission.progress import tracked
from remission.training import Measured, Weights, measure, recalibrate
from remission.training.weights import Direction
from remission.types import LabelledImages, Target

MARGIN = 0.25
"""The grid goes beyond the models by this share of their extent, on every side."""
_FLAT = 1e-6  # a v this much shorter than w_3 - w_1 is rounding, not a direction


@dataclass(frozen=True)
class PlanePoints:
    """What was measured on a grid.

    Args:
        x: along u, 0 at the first model.
        y: along v, 0 on the line through the first two.
        models: (x, y) of the three.
        rows: for each y what was measured at each x.
        flat: the three lie on one line, so that no plane is theirs and ``y`` means nothing.
    """

    x: list[float]
    y: list[float]
    models: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    rows: list[list[Measured]]
    flat: bool


def plane(
    first: Classifier,
    second: Classifier,
    third: Classifier,
    test: LabelledImages,
    trigger: Callable[[Tensor], Tensor],
    target: Target,
    *,
    clean: LabelledImages,
    points: int,
) -> PlanePoints:
    """Measures a grid of ``points`` x ``points`` models of the plane through three.

    Args:
        first: backdoored; all three are of one architecture and stay as they are.
        second: purified.
        third: retuned.
        test: on the models' device.
        trigger: image -> triggered image.
        target: the attacker's.
        clean: statistics are collected on these images at every point.
        points: along each axis, at least 2.
    """
    model = copy.deepcopy(first).requires_grad_(True).eval()
    origin, *others = (_flattened(each) for each in (first, second, third))
    u, v = (other - origin for other in others)
    length, reach = float(u.norm()), float(v.norm())
    u = u / length if length else u
    along = float(v @ u)
    v = v - along * u
    height = float(v.norm())
    v = v / height if height else v
    x = _grid(min(0.0, along), max(length, along), points)
    y = _grid(0.0, height, points)
    rows = [[unmeasured(len(test))] * points for _ in y]
    weights = Weights(model)
    for i, j in tracked(product(range(points), repeat=2), "plane", points**2):
        _put(weights.now, origin + x[j] * u + y[i] * v)
        recalibrate(model, clean)
        rows[i][j] = measure(model, test, trigger, target)
    models = ((0.0, 0.0), (length, 0.0), (along, height))
    return PlanePoints(x, y, models, rows, flat=not length or height <= _FLAT * reach)


@torch.no_grad()
def _flattened(model: Classifier) -> Tensor:
    """All parameters as one vector in float64: differences of near points lose no digits."""
    return torch.cat([parameter.double().reshape(-1) for parameter in model.parameters()])


@torch.no_grad()
def _put(into: Direction, point: Tensor) -> None:
    parts = torch.split(point, [parameter.numel() for parameter in into])
    for parameter, part in zip(into, parts, strict=True):
        parameter.copy_(part.view(parameter.shape))


def _grid(low: float, high: float, points: int) -> list[float]:
    margin = MARGIN * (high - low) or MARGIN
    step = (high - low + 2 * margin) / (points - 1)
    return [low - margin + k * step for k in range(points)]
