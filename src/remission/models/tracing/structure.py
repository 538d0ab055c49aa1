"""What a model is made of, found in its layers and not by their names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.errors import SpecError
from remission.method import Method
from remission.models.classifier import Classifier

BATCH_NORM = "batch norm"
CONVOLUTIONS = "convolutions"
TRAITS = (BATCH_NORM, CONVOLUTIONS)
"""What a method may declare in its ``needs`` that not every model has."""


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Name -> layer that normalises by the batch, with running statistics, scale and shift."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.affine
    }


def has_batch_norm(model: nn.Module) -> bool:
    """Whether :func:`batch_norms` finds one."""
    return bool(batch_norms(model))


def has_convolutions(model: nn.Module) -> bool:
    """Whether some convolution's places overlap.

    A convolution that only cuts the image into patches, as in a vision transformer, is a linear
    layer on patches.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and any(side > step for side, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in model.modules()
    )


def traits(model: nn.Module) -> tuple[str, ...]:
    """Those of :data:`TRAITS` that ``model`` has."""
    found = {BATCH_NORM: has_batch_norm(model), CONVOLUTIONS: has_convolutions(model)}
    return tuple(trait for trait in TRAITS if found[trait])


def check_needs(method: Method, model: Classifier) -> None:
    """Refuses a method that needs what ``model`` is not made of.

    Raises:
        SpecError: ``method.needs`` names one of :data:`TRAITS` that the model lacks.
    """
    found = traits(model)
    for need in method.needs:
        if need in TRAITS and need not in found:
            raise SpecError(
                f"{method.name} needs {need}, and {model.arch} has none",
                f"leave out {method.name}, or use a model with {need}, for example resnet18",
            )


@torch.no_grad()
def normalised_convolutions(model: Classifier) -> list[tuple[nn.Conv2d, _BatchNorm]]:
    """The convolutions whose result goes into a batch norm as it is, each with that batch norm.

    Found by dataflow, in one forward pass: neither the order of the layers in the model nor their
    names tell it. A batch norm that is given a sum, a concatenation, a pooled or an activated map,
    or now this and now that, is in no pair.
    """
    made: list[tuple[nn.Conv2d, Tensor, int]] = []
    feeding: dict[_BatchNorm, set[nn.Conv2d | None]] = {}

    def convolved(layer: nn.Module, given: object, result: Tensor) -> None:
        del given
        assert isinstance(layer, nn.Conv2d)
        made.append((layer, result, result._version))

    def normalised(layer: nn.Module, given: tuple[object, ...]) -> None:
        assert isinstance(layer, _BatchNorm)
        # a tensor that was changed in place since, as by a sum, is the same with another version
        feeders = (c for c, out, v in made if given and out is given[0] and out._version == v)
        feeding.setdefault(layer, set()).add(next(feeders, None))

    norms = batch_norms(model).values()
    handles = [norm.register_forward_pre_hook(normalised) for norm in norms]
    handles += [
        layer.register_forward_hook(convolved)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    was_training = model.training
    try:
        model.eval()(torch.zeros(1, *model.shape, device=model.mean.device))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    pairs = [(conv, norm) for norm, (conv, *more) in feeding.items() if not more]
    return [(conv, norm) for conv, norm in pairs if conv is not None]
