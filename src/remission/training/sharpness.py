"""Gradients of sharpness-aware minimisation (Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from remission.training.batchnorm import frozen_statistics
from remission.training.loop import Backward
from remission.training.weights import Direction, Weights


def uphill(
    model: nn.Module, direction: Callable[[Direction, Direction], Direction], rho: float
) -> Callable[[Backward], Tensor]:
    """Returns what leaves grad L(w + rho * d), for the argument ``gradient`` of :func:`fit`.

    Batch-norm statistics follow the pass at w alone, and the loss is that at w.

    Args:
        model: the model that is trained.
        direction: (weights w, their gradients g) -> d; neither is changed.
        rho: the factor of d.
    """
    weights = Weights(model)

    def gradient(backward: Backward) -> Tensor:
        loss = backward()
        weights.keep()
        weights.move(direction(weights.now, weights.gradients()), rho)
        weights.clear_gradients()
        with frozen_statistics(model):
            backward()
        weights.back()
        return loss

    return gradient
