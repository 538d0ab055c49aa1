"""Models by name, with normalisation inside; checkpoints are read by key and never unpickled."""

from __future__ import annotations

from collections.abc import Callable

import torch

from remission.errors import SpecError, closest
from remission.models.checkpoint import load_weights, save_weights
from remission.models.classifier import Classifier, Precision, autocast, in_channels_last
from remission.models.resnet import ResNet
from remission.seeding import Seed

__all__ = [
    "MODELS",
    "Classifier",
    "Precision",
    "ResNet",
    "autocast",
    "build_model",
    "in_channels_last",
    "load_weights",
    "parse_arch",
    "resolve_precision",
    "save_weights",
]

MODELS: dict[str, tuple[Callable[..., Classifier], dict[str, object], int]] = {
    "resnet18": (ResNet, {"blocks": (2, 2, 2, 2)}, 64),
}
"""name -> (class, its own arguments, its width when none is given)."""


def parse_arch(arch: str) -> tuple[str, int]:
    """``"resnet18:16"`` -> (``"resnet18"``, 16).

    Raises:
        SpecError: no such model, or a width that is no positive number.
    """
    name, _, width = arch.partition(":")
    if name not in MODELS:
        raise SpecError(f"unknown model '{name}'", closest(name, MODELS))
    if not width:
        return name, MODELS[name][2]
    if not (width.isascii() and width.isdecimal()) or not 1 <= int(width) <= 1024:
        raise SpecError(
            f"'{arch}': the width is '{width}'", f"give base channels from 1 to 1024: '{name}:16'"
        )
    return name, int(width)


def build_model(
    arch: str,
    *,
    classes: int,
    shape: tuple[int, int, int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    seed: Seed | None = None,
    precision: Precision = "fp32",
) -> Classifier:
    """A new model, in channels-last memory format.

    Args:
        arch: a name of :data:`MODELS`, with an optional width: ``resnet18:16``.
        classes: number of classes, at least 2.
        shape: (C, H, W) of the images.
        mean: per channel, of images in [0, 1].
        std: per channel.
        seed: where the first weights come from; ``Seed(0)`` when not given.
        precision: of the forward pass.

    Raises:
        SpecError: no such model, or images too small for it.
    """
    name, width = parse_arch(arch)
    if min(shape[1:]) < 8:
        raise SpecError(
            f"images of {shape[1]}x{shape[2]} pixels are too small for {name}",
            "use images of at least 8x8",
        )
    make, own, _ = MODELS[name]
    with (seed or Seed(0)).child("weights").initialising():
        model = make(
            arch=arch, classes=classes, shape=shape, mean=mean, std=std, width=width, **own
        )
    model.precision = precision
    return in_channels_last(model)


def resolve_precision(wanted: str, device: torch.device) -> Precision:
    """``"auto"`` -> ``"bf16"`` where the processor multiplies it faster, else ``"fp32"``."""
    if wanted != "auto":
        return "bf16" if wanted == "bf16" else "fp32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    flags = torch.backends.cpu.get_cpu_capability()
    has_bf16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if flags.startswith("AVX512") and has_bf16 else "fp32"
