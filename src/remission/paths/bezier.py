"""A quadratic Bezier curve of low clean loss between two models (Garipov et al., NeurIPS 2018).

A straight line may cross a barrier where a bent one goes around it (arXiv 1802.10026). The bend is
trained by :func:`remission.training.connect` on the defender's clean images, so that the curve is
one which the defender could walk himself; then the backdoor is measured on it.
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
    """Trains a bend between ``start`` (t = 0) and ``end`` (t = 1) and walks the curve.

    Running statistics are no part of the curve: they are collected anew at every position.

    Args:
        start: a model; it stays as it is.
        end: a model of the same architecture; it stays as it is.
        test: where clean accuracy and ASR are measured, on the models' device.
        trigger: image -> triggered image.
        target: the attacker's.
        clean: the bend is trained on these images.
        statistics: running statistics are collected on these; by default on ``clean``.
        seed: of the training.
        epochs: passes over ``clean``.
        lr: highest learning rate of SGD with momentum 0.9 and no weight decay, cosine down to 0:
            ours, small, for the paper trains the bend from other ends on fifty times the images.
        points: positions, evenly spaced, both ends included; at least 2.
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
