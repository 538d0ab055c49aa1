"""Batch-norm running statistics: how they are left as they are, or collected anew."""

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
    """Returns the layers of ``model`` that have running statistics."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Lets no forward pass within this context change the running statistics of ``model``.

    In train mode each batch is still normalised by its own statistics.
    """
    layers = batchnorm_layers(model)
    with _momenta_put_back(layers):
        for layer in layers:
            layer.momentum = 0.0
        yield


@contextmanager
def _momenta_put_back(layers: list[_BatchNorm]) -> Iterator[None]:
    """Puts the momenta of ``layers`` back after this context."""
    momenta = [layer.momentum for layer in layers]
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@torch.no_grad()
def recalibrate(model: nn.Module, data: LabelledImages, batch_size: int = 500) -> None:
    """Replaces the running statistics by averages over ``data`` at the present weights.

    Every batch counts by its number of images, so the order does not matter. The model's mode and
    the momenta are put back.

    Args:
        model: changed in place; nothing happens if it has no batch normalisation.
        data: clean images on the model's device; labels are not used.
        batch_size: images per batch; a few more where a single image would be left over, since
            batch normalisation cannot train on one.
    """
    layers = batchnorm_layers(model)
    if not layers:
        return
    while len(data) % batch_size == 1 < len(data):
        batch_size += 1
    was_training, seen = model.training, 0
    try:
        with _momenta_put_back(layers):
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
        model.train(was_training)
