"""VGG under the names of the common CIFAR implementation and of torchvision."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from remission.models.imagenet.vgg import ImageNetVGG
from remission.models.vgg import VGG
from remission.recognise.families.reading import (
    ArchFamily,
    LacksError,
    Reading,
    Shapes,
    renamed,
    with_width,
)


def _read(shapes: Shapes) -> list[Reading]:
    """Reads VGG with ``features.N`` or our ``layers.N``, and one or more linear layers."""
    body = "layers" if shapes.some(r"layers\.\d+\.weight$") else "features"
    if shapes.some(rf"{body}\.\d+\.(?!weight|bias|r|n)"):
        return []
    indices = shapes.numbers(body + r"\.(\d+)\.")
    if len(indices) < 4:
        return []
    convs = [n for n in indices if len(shapes[f"{body}.{n}.weight"]) == 4]
    if not convs:
        return []
    several = shapes.numbers(r"classifier\.(\d+)\.")
    heads = [f"classifier.{n}.weight" for n in several] or ["classifier.weight"]
    norm = any(n not in convs for n in indices)
    stages = _stages(convs, 3 if norm else 2, body)
    widths = [shapes.dims(f"{body}.{n}.weight", 4)[0] for n in convs]
    channels = shapes.dims(f"{body}.{convs[0]}.weight", 4)[1]
    linears = [shapes.dims(key, 2) for key in heads]
    name = f"vgg{len(convs) + 3}" + ("_bn" if norm else "")
    seen = (
        f"{len(convs)} convolutions in {len(stages)} stages, by their numbers in '{body}'",
        f"the head has {len(heads)} linear layer" + ("s" if len(heads) > 1 else ""),
    )
    doubled = [widths[0] * 2 ** min(i, 3) for i, n in enumerate(stages) for _ in range(n)]
    if heads == ["classifier.weight"] and norm and widths == doubled and len(stages) == 5:
        return [
            Reading(
                classes=linears[-1][0],
                channels=channels,
                width=widths[0],
                arch=with_width(name, widths[0], 64),
                make=partial(VGG, convolutions=tuple(stages), width=widths[0]),
                theirs=renamed((r"^layers\.", f"{body}.")),
                evidence=seen,
            )
        ]
    side = math.isqrt(linears[0][1] // widths[-1])
    rules = [(r"^layers\.", f"{body}.")]
    if heads == ["classifier.weight"]:
        rules.append((r"^classifier\.0\.", "classifier."))
    make = partial(
        ImageNetVGG,
        convolutions=tuple(stages),
        widths=tuple(widths),
        norm=norm,
        side=max(side, 1),
        hidden=tuple(rows for rows, _ in linears[:-1]),
        indices=tuple(several or [0]),
    )
    return [
        Reading(
            classes=linears[-1][0],
            channels=channels,
            width=widths[0],
            arch=with_width(f"torchvision/{name}", widths[0], 64),
            make=make,
            theirs=renamed(*rules),
            evidence=(*seen, f"its first one takes a map of {side}x{side}"),
        )
    ]


def _stages(convs: list[int], step: int, body: str) -> list[int]:
    """Returns the number of convolutions in each stage: a pooling lies where one index is skipped.

    Args:
        convs: the indices of the convolutions.
        step: the distance of two convolutions of a stage.
        body: the name of what they are in.

    Raises:
        LacksError: they lie further apart.
    """
    stages = [1]
    for before, after in pairwise(convs):
        if after == before + step:
            stages[-1] += 1
        elif after == before + step + 1:
            stages.append(1)
        else:
            raise LacksError(f"{body}.{before + step}.weight")
    return stages


FAMILIES = (ArchFamily("VGG", _read),)
