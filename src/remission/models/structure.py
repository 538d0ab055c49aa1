"""What a model is made of, found in its layers and not by their names."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.errors import SpecError
from remission.method import Method
from remission.models.classifier import Classifier

BATCH_NORM = "batch norm"
CONVOLUTIONS = "convolutions"
TRAITS = (BATCH_NORM, CONVOLUTIONS)
"""What a method may declare in its ``needs`` that not every model has."""


def has_batch_norm(model: nn.Module) -> bool:
    """Whether some layer normalises by the batch, with running statistics, scale and shift."""
    return any(
        isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.affine
        for layer in model.modules()
    )


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
