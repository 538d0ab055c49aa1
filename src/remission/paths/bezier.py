"""A quadratic Bezier curve of low clean loss between two models (Garipov et al., NeurIPS 2018).

A straight line may cross a barrier that a curve goes around (arXiv 1802.10026). The curve's bend is
trained by :func:`remission.training.connect` on the defender's clean images, so that the defender
could find this curve too; then the backdoor is measured along it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor

from remission.models import Classifier
from remission.paths.walk import PathPoints, evenly, walk
from remission.seeding import Seed
from remission.training import Recipe, connect
from remission.types import LabelledImages, Target


def bezier_path(
    start: Classifier,
    end: Classifier,
    test: LabelledImages,
    trigger: Callable[[Tensor], Tensor],
    target: Target,
    *,
    clean: LabelledImages,
    statistics: LabelledImages | None = None,
    seed: Seed,
    epochs: int = 30,
    lr: float = 0.01,
    points: int = 21,
) -> PathPoints:
    """Trains a curve from ``start`` (t = 0) to ``end`` (t = 1) and measures models along it.

    Running statistics are no part of the curve: they are collected anew at every position.

    Args:
        start: a model; it stays as it is.
        end: a model of the same architecture; it stays as it is.
        test: the images on which rates and losses are measured, on the models' device.
        trigger: image -> triggered image.
        target: the target of the attack.
        clean: the images on which the bend is trained.
        statistics: the images on which running statistics are collected; None: ``clean``.
        seed: the source of everything random in the training.
        epochs: passes over ``clean``.
        lr: highest learning rate of SGD with momentum 0.9, without weight decay, falling to 0 along
            a cosine. The default is ours, and small: the paper trains the bend between other models
            and on fifty times as many images.
        points: number of positions, evenly spaced, both ends included; at least 2.
    """
    model = copy.deepcopy(start).requires_grad_(True)
    recipe = Recipe(epochs=epochs, lr=lr, schedule="cosine")
    curve = connect(model, end, clean, recipe, seed=seed, what="curve")
    model.eval()
    return walk(
        model,
        lambda t: curve.put(model, t),
        evenly(points),
        test,
        trigger,
        target,
        clean=clean if statistics is None else statistics,
        what="curve, points",
    )
