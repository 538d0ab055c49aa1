"""Models by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from remission.errors import SpecError, closest
from remission.models.classifier import Classifier, Precision, in_channels_last
from remission.models.densenet import DenseNet
from remission.models.packages import PACKAGES, build_foreign, parse_foreign
from remission.models.preact_resnet import PreActResNet
from remission.models.redrawn import redrawn
from remission.models.resnet import BasicBlock, Bottleneck, ResNet
from remission.models.swin import Swin
from remission.models.tracing.structure import traits
from remission.models.vgg import VGG
from remission.models.vit import ViT
from remission.seeding import Seed
from remission.types import Dataset

SMALLEST_IMAGE = 8
WIDEST = 1024


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture that has a name.

    Args:
        make: the class that builds it.
        own: the arguments of this class beside the width.
        width: the published width.
        least: the smallest width that can learn anything.
        unit: what the width counts.
        summary: one sentence that describes it.
        paper: the paper that published it.
    """

    make: Callable[..., Classifier]
    own: Mapping[str, object] = field(default_factory=dict)
    width: int
    least: int = 1
    unit: str
    summary: str
    paper: str


_CHANNELS = "number of base channels, those of the first stage"

MODELS: Mapping[str, Architecture] = {
    "resnet18": Architecture(
        make=ResNet,
        own={"blocks": (2, 2, 2, 2), "block": BasicBlock},
        width=64,
        unit=_CHANNELS,
        summary="A residual network of 18 layers with the 3x3 stem used on CIFAR.",
        paper="He et al., CVPR 2016",
    ),
    "resnet50": Architecture(
        make=ResNet,
        own={"blocks": (3, 4, 6, 3), "block": Bottleneck},
        width=64,
        unit=_CHANNELS,
        summary="A residual network of 50 layers in bottlenecks, with the 3x3 stem used on CIFAR.",
        paper="He et al., CVPR 2016",
    ),
    "preactresnet18": Architecture(
        make=PreActResNet,
        own={"blocks": (2, 2, 2, 2)},
        width=64,
        unit=_CHANNELS,
        summary="A residual network of 18 layers, normalised before each convolution.",
        paper="He et al., ECCV 2016",
    ),
    "vgg19_bn": Architecture(
        make=VGG,
        own={"convolutions": (2, 2, 4, 4, 4)},
        width=64,
        unit=_CHANNELS,
        summary="Sixteen convolutions with batch norm, and one linear layer as used on CIFAR.",
        paper="Simonyan and Zisserman, ICLR 2015",
    ),
    "densenet161": Architecture(
        make=DenseNet,
        own={"layers": (6, 12, 36, 24)},
        width=48,
        unit="growth rate, the number of channels that each layer adds",
        summary="A densely connected network of 161 layers with the 3x3 stem used on CIFAR.",
        paper="Huang et al., CVPR 2017",
    ),
    "vit_tiny": Architecture(
        make=ViT,
        own={"depth": 12},
        width=192,
        least=4,
        unit="embedding dimension, the number of channels of a token",
        summary="A vision transformer of 12 blocks over at most 8x8 patches of small images.",
        paper="Dosovitskiy et al., ICLR 2021; Touvron et al., ICML 2021",
    ),
    "swin_t": Architecture(
        make=Swin,
        own={"depths": (2, 2, 6, 2)},
        width=96,
        least=4,
        unit="embedding dimension, the number of channels of a token in the first stage",
        summary="A transformer with shifted windows; patches and windows fit small images.",
        paper="Liu et al., ICCV 2021",
    ),
}
"""Name -> architecture. A package's name and a colon begin other models, see ``packages.py``."""


def is_foreign(arch: str) -> bool:
    """Says whether ``arch`` names a model of another package."""
    return arch.partition(":")[0] in PACKAGES and ":" in arch


def parse_arch(arch: str) -> tuple[str, int]:
    """Splits ``"resnet18:16"`` into ``"resnet18"`` and 16; the default is the published width.

    Raises:
        SpecError: there is no such model, or it cannot have this width.
    """
    name, _, width = arch.partition(":")
    if name not in MODELS:
        names = [*MODELS, *(f"{package}:NAME" for package in PACKAGES)]
        raise SpecError(f"unknown model '{name}'", closest(name, names))
    known = MODELS[name]
    if ":" not in arch:
        return name, known.width
    if not re.fullmatch(r"[0-9]{1,6}", width) or not known.least <= int(width) <= WIDEST:
        raise SpecError(
            f"'{arch}': the width is '{width}'",
            f"give a number from {known.least} to {WIDEST} ({known.unit}), for example "
            f"'{name}:16', or leave it out: '{name}' has {known.width}",
        )
    return name, int(width)


def canonical_arch(arch: str) -> str:
    """Returns the one way to write a model: without its published width, without leading zeros.

    Raises:
        SpecError: there is no such model, or it cannot have this width.
    """
    if is_foreign(arch):
        return str(parse_foreign(arch))
    name, width = parse_arch(arch)
    return name if MODELS[name].width == width else f"{name}:{width}"


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
    """Builds a new model, in channels-last memory format.

    Args:
        arch: a name of :data:`MODELS`, with an optional width: ``resnet18:16``; or a model of
            another package: ``timm:NAME``, ``torchvision:NAME``.
        classes: number of classes, at least 2.
        shape: (C, H, W) of the images.
        mean: mean of the images in [0, 1], one number per channel.
        std: standard deviation of the same, one number per channel.
        seed: the source of the first weights; None: ``Seed(0)``.
        precision: the precision of the forward pass.

    Raises:
        SpecError: there is no such model, the images are too small for it, or its package is not
            installed.
    """
    make: Callable[..., Classifier] = build_foreign
    own: dict[str, object] = {}
    if not is_foreign(arch):
        name, width = parse_arch(arch)
        make, own = MODELS[name].make, {**MODELS[name].own, "width": width}
    if min(shape[1:]) < SMALLEST_IMAGE:
        raise SpecError(
            f"images of {shape[1]}x{shape[2]} pixels are too small for {arch}",
            f"use images of at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE}",
        )
    with (seed or Seed(0)).child("weights").initialising():
        model = make(arch=arch, classes=classes, shape=shape, mean=mean, std=std, **own)
    model.precision = precision
    return in_channels_last(model)


def build_model_for(
    data: Dataset, arch: str, *, seed: Seed | None = None, precision: Precision = "fp32"
) -> Classifier:
    """A new model for the images of a data set: as :func:`build_model`, with its shape and classes.

    Args:
        data: gives the shape of its images, the number of classes, and mean and standard deviation
            per channel.
        arch: see :func:`build_model`.
        seed: where the first weights come from; ``Seed(0)`` when not given.
        precision: of the forward pass.

    Raises:
        SpecError: as :func:`build_model`.
    """
    return build_model(
        arch,
        classes=len(data.classes),
        shape=data.train.shape,
        mean=data.mean,
        std=data.std,
        seed=seed,
        precision=precision,
    )


def build_like(model: Classifier, *, seed: Seed) -> Classifier:
    """Builds a model like another, with random first weights also where those were pretrained.

    Args:
        model: has the architecture, the number of classes and the shape of the images.
        seed: the source of the first weights.

    Raises:
        SpecError: no model has the name ``model.arch``.
    """
    if not model.by_name:
        return redrawn(model, seed=seed)
    fresh = build_model(
        model.arch.partition("@")[0],
        classes=model.classes,
        shape=model.shape,
        mean=tuple(model.mean.flatten().tolist()),
        std=tuple(model.std.flatten().tolist()),
        seed=seed,
        precision=model.precision,
    )
    fresh.channel_order, fresh.range_per_image = model.channel_order, model.range_per_image
    return fresh


def describe_models() -> list[dict[str, Any]]:
    """Returns a catalogue entry for each model: what it is, its width, what it is made of."""
    entries, smallest = [], f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE}"
    for name, known in sorted(MODELS.items()):
        with torch.device("meta"):
            model = build_model(name, classes=2, shape=(1, 32, 32), mean=(0.0,), std=(1.0,))
        entries.append(
            {
                "name": name,
                "summary": f"{known.summary} Images need at least {smallest} pixels.",
                "paper": known.paper,
                "needs": [],
                "has": list(traits(model)),
                "parameters": [
                    {
                        "name": "width",
                        "default": known.width,
                        "allowed": f"integer >= {known.least}, <= {WIDEST}",
                        "meaning": f"{known.unit[0].upper()}{known.unit[1:]}; '{name}:16' has 16.",
                    }
                ],
            }
        )
    return entries + [_described_package(package) for package in PACKAGES]


def _described_package(package: str) -> dict[str, Any]:
    weights = {"timm": "pretrained", "torchvision": "IMAGENET1K_V1"}[package]
    return {
        "name": f"{package}:NAME",
        "summary": f"Any image classifier of {package}, with random first weights; "
        f"'{package}:NAME@{weights}' has pretrained weights. Install it with "
        f"pip install 'remission[{package}]'.",
        "paper": "",
        "needs": [],
        "has": [],
        "parameters": [],
    }
