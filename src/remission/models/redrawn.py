"""Random first weights for a network whose code is not known."""

from __future__ import annotations

import copy

import torch
from torch import nn

from remission.models.classifier import Classifier
from remission.seeding import Seed


@torch.no_grad()
def redrawn(model: Classifier, *, seed: Seed) -> Classifier:
    """Copies a classifier and draws its weights anew; the model itself is not changed.

    Layers that have ``reset_parameters`` reinitialise themselves. Any other parameter, such as a
    class token, is drawn from a normal distribution with the mean and the standard deviation of its
    values, truncated at three standard deviations; a parameter of one value or of equal values
    keeps them. Buffers outside such layers keep their values.

    Args:
        model: a classifier.
        seed: the source of the weights.
    """
    fresh = copy.deepcopy(model)
    fresh.source = None
    with seed.child("weights").initialising():
        for layer in fresh.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                for parameter in layer.parameters(recurse=False):
                    _draw(parameter)
    return fresh


def _draw(parameter: nn.Parameter) -> None:
    """Draws from the normal distribution that has the mean and deviation of the values."""
    if parameter.numel() < 2:
        return
    mean, deviation = float(parameter.mean()), float(parameter.std())
    if deviation > 0:
        low, high = mean - 3 * deviation, mean + 3 * deviation
        nn.init.trunc_normal_(parameter, mean, deviation, low, high)
