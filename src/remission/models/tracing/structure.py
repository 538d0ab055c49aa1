"""What a model is made of, found by the types of its layers and not by their names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.errors import SpecError
from remission.method import Method
from remission.models.classifier import Classifier
from remission.models.states import evaluating

BATCH_NORM = "batch norm"
CONVOLUTIONS = "convolutions"
TRAITS = (BATCH_NORM, CONVOLUTIONS)
"""Entries of a method's ``needs`` that not every model has."""


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Returns name -> layer for all batch norms with running statistics, scale and shift."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.affine
    }


def has_batch_norm(model: nn.Module) -> bool:
    """Says whether :func:`batch_norms` finds one."""
    return bool(batch_norms(model))


def has_convolutions(model: nn.Module) -> bool:
    """Says whether the windows of some convolution overlap.

    A convolution that only cuts the image into patches, as in a vision transformer, does not count:
    it is a linear layer on patches.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and any(side > step for side, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in model.modules()
    )


def traits(model: nn.Module) -> tuple[str, ...]:
    """Returns those of :data:`TRAITS` that ``model`` has."""
    has = {BATCH_NORM: has_batch_norm(model), CONVOLUTIONS: has_convolutions(model)}
    return tuple(trait for trait in TRAITS if has[trait])


def check_needs(method: Method, model: Classifier) -> None:
    """Refuses a method that needs what ``model`` is not made of.

    Raises:
        SpecError: ``method.requirements()`` names one of :data:`TRAITS` that the model lacks.
    """
    present = traits(model)
    for need in method.requirements():
        if need in TRAITS and need not in present:
            raise SpecError(
                f"{method.name} needs {need}, and {model.arch} has none",
                f"leave out {method.name}, or use a model with {need}, for example resnet18",
            )


@torch.no_grad()
def normalised_convolutions(model: Classifier) -> list[tuple[nn.Conv2d, _BatchNorm]]:
    """Returns the convolutions whose output goes straight into a batch norm, with this batch norm.

    They are found by dataflow in one forward pass, since neither the order of the layers in the
    model nor their names say it. A batch norm whose input is a sum, a concatenation, a pooled or an
    activated map, or comes from several layers, is in no pair.
    """
    outputs: list[tuple[nn.Conv2d, Tensor, int]] = []
    feeding: dict[_BatchNorm, set[nn.Conv2d | None]] = {}

    def convolved(layer: nn.Module, inputs: object, output: Tensor) -> None:
        del inputs
        assert isinstance(layer, nn.Conv2d)
        outputs.append((layer, output, output._version))

    def normalised(layer: nn.Module, inputs: tuple[object, ...]) -> None:
        assert isinstance(layer, _BatchNorm)
        # a tensor that was changed in place since, as by a sum, is the same with another version
        feeders = (c for c, out, v in outputs if inputs and out is inputs[0] and out._version == v)
        feeding.setdefault(layer, set()).add(next(feeders, None))

    norms = batch_norms(model).values()
    handles = [norm.register_forward_pre_hook(normalised) for norm in norms]
    handles += [
        layer.register_forward_hook(convolved)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        with evaluating(model):
            model(torch.zeros(1, *model.shape, device=model.mean.device))
    finally:
        for handle in handles:
            handle.remove()
    pairs = [(conv, norm) for norm, (conv, *more) in feeding.items() if not more]
    return [(conv, norm) for conv, norm in pairs if conv is not None]
