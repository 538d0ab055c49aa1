"""MobileNetV2 and EfficientNet under the names of torchvision.

Strides are in no tensor: they are the published ones of the stages.
"""

from __future__ import annotations

import re
from functools import partial

from torch import nn

from remission.models.imagenet.mobilenet import InvertedNet, InvertedSize
from remission.recognise.families.reading import (
    ArchFamily,
    LacksError,
    Reading,
    Shapes,
    Theirs,
    with_width,
)

_REPEATS = (1, 2, 3, 4, 3, 3, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the seven stages: repeats of MobileNetV2, strides of it and of EfficientNet (there the second
to fourth and the sixth are 2, too)."""
_DEPTHS: dict[tuple[int, ...], tuple[str, int]] = {
    (1, 2, 2, 3, 3, 4, 1): ("b0", 32),
    (2, 3, 3, 4, 4, 5, 2): ("b1 or b2", 32),
    (2, 3, 3, 5, 5, 6, 2): ("b3", 40),
    (2, 4, 4, 6, 6, 8, 2): ("b4", 48),
    (3, 5, 5, 7, 7, 9, 3): ("b5", 48),
    (3, 6, 6, 8, 8, 11, 3): ("b6", 56),
    (4, 7, 7, 10, 10, 13, 4): ("b7", 64),
}
_LARGE = ("b5", "b6", "b7")
"""Their batch norms add 1e-3 to variances, those of the others 1e-5."""


def _mobilenet(shapes: Shapes) -> list[Reading]:
    """Reads ``features.1.conv.0.0`` and ``classifier.1``."""
    if not shapes.some(r"features\.1\.conv\.0\.0\."):
        return []
    count = shapes.count(r"features\.(\d+)\.conv\.")
    strides = [
        stride if index == 0 else 1
        for stride, repeats in zip(_STRIDES, _REPEATS, strict=True)
        for index in range(repeats)
    ]
    if count - 1 != len(strides):
        raise LacksError(f"features.{len(strides)}.conv.2.weight")
    blocks = []
    for number, stride in zip(range(1, count), strides, strict=True):
        stem = f"features.{number}.conv"
        expands = f"{stem}.1.0.weight" in shapes
        hidden, _, kernel, _ = shapes.dims(f"{stem}.{int(expands)}.0.weight", 4)
        out = shapes.dims(f"{stem}.{1 + int(expands)}.weight", 4)[0]
        blocks.append(InvertedSize(hidden, out, kernel, stride, expands))
    width, channels, _, _ = shapes.dims("features.0.0.weight", 4)
    last = shapes.dims(f"features.{count}.0.weight", 4)[0]
    make = partial(InvertedNet, width=width, blocks=tuple(blocks), last=last, active=nn.ReLU6)
    return [
        Reading(
            arch=with_width("torchvision/mobilenet_v2", width, 32),
            classes=shapes.dims("classifier.1.weight", 2)[0],
            channels=channels,
            width=width,
            make=make,
            theirs=_mobile_names(tuple(block.expands for block in blocks)),
            evidence=(f"{count - 1} inverted residuals in 'features'", "strides as published"),
        )
    ]


def _mobile_names(expands: tuple[bool, ...]) -> Theirs:
    def theirs(key: str) -> tuple[str, ...]:
        key = re.sub(r"^linear\.", "classifier.1.", key)
        key = re.sub(r"^stem\.", "features.0.", key)
        key = re.sub(r"^last\.", f"features.{len(expands) + 1}.", key)
        match = re.fullmatch(r"blocks\.(\d+)\.block\.(\d+)\.(\d+)\.(.+)", key)
        if match:
            block, layer, part = (int(match[group]) for group in (1, 2, 3))
            stem = f"features.{block + 1}.conv"
            projects = layer == 1 + int(expands[block])
            number = f"{layer + part}" if projects else f"{layer}.{part}"
            key = f"{stem}.{number}.{match[4]}"
        return (key,)

    return theirs


def _efficientnet(shapes: Shapes) -> list[Reading]:
    """Reads ``features.1.0.block.0.0`` with gates."""
    if not shapes.some(r"features\.1\.0\.block\.\d\.fc1\."):
        return []
    stages = shapes.count(r"features\.(\d+)\.\d+\.block\.") - 1
    if stages != len(_STRIDES):
        raise LacksError("features.7.0.block.0.0.weight")
    blocks, names, repeats = [], [], []
    for stage, first in zip(range(1, stages + 1), _STRIDES, strict=True):
        repeats.append(shapes.count(rf"features\.{stage}\.(\d+)\.block\."))
        for index in range(repeats[-1]):
            stem = f"features.{stage}.{index}.block"
            expands = f"{stem}.2.fc1.weight" in shapes or f"{stem}.3.0.weight" in shapes
            hidden, _, kernel, _ = shapes.dims(f"{stem}.{int(expands)}.0.weight", 4)
            gate = shapes.dims(f"{stem}.{1 + int(expands)}.fc1.weight", 4)[0]
            out = shapes.dims(f"{stem}.{2 + int(expands)}.0.weight", 4)[0]
            stride = first if index == 0 else 1
            blocks.append(InvertedSize(hidden, out, kernel, stride, expands, gate))
            names.append(stem)
    width, channels, _, _ = shapes.dims("features.0.0.weight", 4)
    last = shapes.dims(f"features.{stages + 1}.0.weight", 4)[0]
    name, published = _DEPTHS.get(tuple(repeats), ("-" + "-".join(map(str, repeats)), width))
    sizes, eps = tuple(blocks), 1e-3 if name in _LARGE else 1e-5
    make = partial(InvertedNet, width=width, blocks=sizes, last=last, active=nn.SiLU, eps=eps)
    return [
        Reading(
            arch=with_width(f"torchvision/efficientnet_{name}", width, published),
            classes=shapes.dims("classifier.1.weight", 2)[0],
            channels=channels,
            width=width,
            make=make,
            theirs=_efficient_names(names, stages + 1),
            evidence=(
                f"{stages} stages of {', '.join(map(str, repeats))} gated inverted residuals",
                f"strides as published, and batch norms that add {eps:g} to variances",
            ),
        )
    ]


def _efficient_names(names: list[str], last: int) -> Theirs:
    def theirs(key: str) -> tuple[str, ...]:
        key = re.sub(r"^linear\.", "classifier.1.", key)
        key = re.sub(r"^stem\.", "features.0.", key)
        key = re.sub(r"^last\.", f"features.{last}.", key)
        return (re.sub(r"^blocks\.(\d+)\.block", lambda match: names[int(match[1])], key),)

    return theirs


FAMILIES = (ArchFamily("torchvision", _mobilenet), ArchFamily("torchvision", _efficientnet))
