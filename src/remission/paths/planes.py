"""The plane through three models in weight space (Garipov et al., NeurIPS 2018, appendix).

With w_1, w_2, w_3 the weights of the backdoored, the purified and the retuned model, Gram-Schmidt
gives two orthogonal directions,

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
"""The grid extends beyond the models by this share of their extent, on every side."""
_FLAT = 1e-6  # a v this much shorter than w_3 - w_1 is rounding, not a direction


@dataclass(frozen=True)
class PlanePoints:
    """Measurements on a grid in the plane of three models.

    Args:
        x: the grid's positions along u, 0 at the first model.
        y: the grid's positions along v, 0 on the line through the first two models.
        models: (x, y) of the three models.
        rows: for each y, the measurements at every x.
        flat: whether the models lie on one line; then they have no plane, and ``y`` means nothing.
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
    """Measures a grid of ``points`` x ``points`` models in the plane of three models.

    The three are of one architecture and stay as they are.

    Args:
        first: the backdoored model.
        second: the purified model.
        third: the retuned model.
        test: the images on which rates and losses are measured, on the models' device.
        trigger: image -> triggered image.
        target: the target of the attack.
        clean: the images on which running statistics are collected at every point.
        points: number of positions along each axis, at least 2.
    """
    model = copy.deepcopy(first).requires_grad_(True).eval()
    origin, *others = (_flattened(corner) for corner in (first, second, third))
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
    """Returns all parameters as one vector, in float64 so that differences lose no digits."""
    return torch.cat([parameter.double().reshape(-1) for parameter in model.parameters()])


@torch.no_grad()
def _put(into: Direction, point: Tensor) -> None:
    """Writes a vector of all parameters into the parameters ``into``."""
    parts = torch.split(point, [parameter.numel() for parameter in into])
    for parameter, part in zip(into, parts, strict=True):
        parameter.copy_(part.view(parameter.shape))


def _grid(low: float, high: float, points: int) -> list[float]:
    """Returns evenly spaced positions from below ``low`` to above ``high``."""
    margin = MARGIN * (high - low) or MARGIN
    step = (high - low + 2 * margin) / (points - 1)
    return [low - margin + k * step for k in range(points)]
