"""Batch-norm running statistics: left alone, or collected anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.progress import tracked
from remission.training.batches import batches
from remission.types import LabelledImages


def batchnorm_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers of ``model`` that keep running statistics."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Within this context, forward passes leave the running statistics as they are.

    In train mode the batch's own statistics still normalise it.
    """
    layers = batchnorm_layers(model)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@torch.no_grad()
def recalibrate(model: nn.Module, data: LabelledImages, batch_size: int = 500) -> None:
    """Replaces the running statistics by their averages over ``data`` at the present weights.

    Every batch counts by its number of images; the order does not matter. Leaves the train/eval
    state and the momenta as they were.

    Args:
        model: changed in place; nothing happens if it has no batch normalisation.
        data: clean images on the model's device; labels are not used.
        batch_size: images a batch; a few more where a single image would be left over, which batch
            normalisation cannot train on.
    """
    layers = batchnorm_layers(model)
    if not layers:
        return
    while len(data) % batch_size == 1 < len(data):
        batch_size += 1
    was_training, momenta = model.training, [layer.momentum for layer in layers]
    seen = 0
    try:
        model.train()
        for layer in layers:
            layer.reset_running_stats()
        stream = batches(data, batch_size, generator=None)
        for images, _ in tracked(stream, "", -(-len(data) // batch_size)):
            seen += len(images)
            for layer in layers:  # a running mean weighted by batch size
                layer.momentum = len(images) / seen
            model(images)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)
