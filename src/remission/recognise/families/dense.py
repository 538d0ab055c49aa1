"""DenseNets under the names of the common CIFAR implementation, of torchvision and of timm."""

from __future__ import annotations

from functools import partial

from remission.models.densenet import DenseNet
from remission.models.imagenet.densenet import ImageNetDenseNet
from remission.recognise.families.reading import ArchFamily, Reading, Shapes, renamed

_DEPTHS: dict[tuple[int, ...], str] = {
    (6, 12, 24, 16): "121",
    (6, 12, 32, 32): "169",
    (6, 12, 48, 32): "201",
    (6, 12, 36, 24): "161",
}


def _named(layers: tuple[int, ...]) -> str:
    return f"densenet{_DEPTHS.get(layers) or '-' + '-'.join(map(str, layers))}"


def _cifar(shapes: Shapes) -> list[Reading]:
    """Reads DenseNets with ``dense1.0.conv1``, ``trans1`` and ``linear``."""
    if not shapes.some(r"dense1\.0\."):
        return []
    one, two, three, four = (shapes.count(rf"dense{block}\.(\d+)\.") for block in (1, 2, 3, 4))
    layers = (one, two, three, four)
    channels = shapes.dims("conv1.weight", 4)[1]
    growth = shapes.dims("dense1.0.conv2.weight", 4)[0]
    name = _named(layers)
    published = 48 if name == "densenet161" else 32
    return [
        Reading(
            arch=name if growth == published else f"{name}:{growth}",
            classes=shapes.dims("linear.weight", 2)[0],
            channels=channels,
            width=growth,
            make=partial(DenseNet, layers=layers, width=growth),
            theirs=renamed(),
            evidence=(
                f"dense1 to dense4 have {', '.join(map(str, layers))} layers",
                f"each adds {growth} channels",
                "the last layer is called 'linear'",
            ),
        )
    ]


def _torchvision(shapes: Shapes) -> list[Reading]:
    """Reads DenseNets with ``features.denseblock1.denselayer1``."""
    if not shapes.some(r"features\.denseblock1\.denselayer1\."):
        return []
    blocks = shapes.numbers(r"features\.denseblock(\d+)\.")
    layers = tuple(
        shapes.count(rf"features\.denseblock{block}\.denselayer(\d+)\.") - 1 for block in blocks
    )
    width, channels, _, _ = shapes.dims("features.conv0.weight", 4)
    growth = shapes.dims("features.denseblock1.denselayer1.conv2.weight", 4)[0]
    name = f"torchvision/{_named(layers)}"
    published = 48 if name.endswith("161") else 32
    return [
        Reading(
            arch=name if growth == published else f"{name}:{growth}",
            classes=shapes.dims("classifier.weight", 2)[0],
            channels=channels,
            width=growth,
            make=partial(ImageNetDenseNet, layers=layers, growth=growth, width=width),
            theirs=renamed((r"^body\.", "features.")),
            evidence=(
                f"the dense blocks have {', '.join(map(str, layers))} layers",
                f"each adds {growth} channels",
            ),
        )
    ]


FAMILIES = (ArchFamily("CIFAR", _cifar), ArchFamily("torchvision and timm", _torchvision))
