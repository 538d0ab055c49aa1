"""The straight line between two models (linear mode connectivity; Min et al. 2024, section 4)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from remission.models import Classifier
from remission.paths.walk import PathPoints, evenly, walk
from remission.types import LabelledImages, Target

BatchNorm = Literal["interpolated", "recalibrated"]
"""Where running statistics come from, see :func:`linear_path`."""


def interpolate(model: Classifier, start: Classifier, end: Classifier, t: float) -> None:
    """Sets ``model`` to (1 - t) * start + t * end, both parameters and running statistics."""
    into, a, b = model.state_dict(), start.state_dict(), end.state_dict()
    with torch.no_grad():
        for key, value in into.items():
            if value.is_floating_point():
                torch.lerp(a[key], b[key], t, out=value)


def linear_path(
    start: Classifier,
    end: Classifier,
    test: LabelledImages,
    trigger: Callable[[Tensor], Tensor],
    target: Target,
    *,
    points: int = 21,
    batchnorm: BatchNorm = "recalibrated",
    clean: LabelledImages | None = None,
) -> PathPoints:
    """Measures models on the line from ``start`` (backdoored, t = 0) to ``end`` (purified, t = 1).

    :meth:`PathPoints.barriers` says how high the barriers between them are.

    Args:
        start: a model; it stays as it is.
        end: a model of the same architecture; it stays as it is.
        test: the images on which rates and losses are measured, on the models' device.
        trigger: image -> triggered image.
        target: the target of the attack.
        points: number of positions, evenly spaced, both ends included; at least 2.
        batchnorm: ``"interpolated"``: running statistics are interpolated like weights;
            ``"recalibrated"``: they are collected anew on ``clean`` at every position, both ends
            included.
        clean: the defender's images, for ``"recalibrated"``.
    """
    assert batchnorm == "interpolated" or clean is not None, "recalibration needs clean images"
    model = copy.deepcopy(start).eval()
    return walk(
        model,
        lambda t: interpolate(model, start, end, t),
        evenly(points),
        test,
        trigger,
        target,
        clean=clean if batchnorm == "recalibrated" else None,
        what=f"path, batch norm {batchnorm}",
    )
