"""ResNets under the names of the common CIFAR implementation, of torchvision and of timm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from remission.models import Classifier
from remission.models.imagenet.resnet import ImageNetResNet, Stem
from remission.models.preact_resnet import PreActResNet
from remission.models.resnet import BasicBlock, Bottleneck, ResNet
from remission.recognise.families.reading import ArchFamily, Reading, Shapes, renamed, with_width

_DEPTHS: dict[tuple[tuple[int, ...], type[BasicBlock] | type[Bottleneck]], str] = {
    ((2, 2, 2, 2), BasicBlock): "18",
    ((3, 4, 6, 3), BasicBlock): "34",
    ((3, 4, 6, 3), Bottleneck): "50",
    ((3, 4, 23, 3), Bottleneck): "101",
    ((3, 8, 36, 3), Bottleneck): "152",
}
_STAGES = (1, 2, 3, 4)
_STEM_NAMES: dict[Stem, str] = {"7x7": "", "3x3": "+stem3x3", "3x3 with pooling": "+stem3x3+pool"}


def _blocks(shapes: Shapes) -> tuple[int, int, int, int]:
    one, two, three, four = (shapes.count(rf"layer{stage}\.(\d+)\.") for stage in _STAGES)
    return one, two, three, four


def _kind(shapes: Shapes) -> type[BasicBlock] | type[Bottleneck]:
    return Bottleneck if shapes.some(r"layer\d\.\d+\.conv3\.") else BasicBlock


def _named(kind: str, blocks: tuple[int, ...], block: type[BasicBlock] | type[Bottleneck]) -> str:
    depth = _DEPTHS.get((blocks, block))
    return f"{kind}{depth}" if depth else f"{kind}-" + "-".join(map(str, blocks))


def _seen(blocks: tuple[int, ...], kernel: int, names: str) -> tuple[str, ...]:
    return (
        f"layer1 to layer4 have {', '.join(map(str, blocks))} blocks",
        f"conv1 is a {kernel}x{kernel} convolution",
        f"shortcuts and the last layer are called {names}",
    )


def _cifar(shapes: Shapes) -> list[Reading]:
    """Reads ResNets and pre-activation ResNets with ``shortcut`` and ``linear``."""
    if not shapes.some(r"layer1\.0\.") or not shapes.some(r"layer\d\.\d+\.shortcut|linear\."):
        return []
    if shapes.some(r"layer\d\.\d+\.downsample|fc\."):
        return []
    width, channels, kernel, _ = shapes.dims("conv1.weight", 4)
    blocks, block = _blocks(shapes), _kind(shapes)
    classes = shapes.dims("linear.weight", 2)[0]
    activated = shapes.some(r"bn1\.") or shapes.some(r"layer\d\.\d+\.shortcut\.1\.")
    make: Callable[..., Classifier]
    if activated:
        name, make = "resnet", partial(ResNet, blocks=blocks, width=width, block=block)
        last = "conv1 is followed by batch normalisation"
    else:
        name, make = "preactresnet", partial(PreActResNet, blocks=blocks, width=width)
        last = "neither conv1 nor shortcuts are followed by batch normalisation"
    return [
        Reading(
            arch=with_width(_named(name, blocks, block), width, 64),
            classes=classes,
            channels=channels,
            width=width,
            make=make,
            theirs=renamed(),
            evidence=(*_seen(blocks, kernel, "'shortcut' and 'linear'"), last),
        )
    ]


def _torchvision(shapes: Shapes) -> list[Reading]:
    """Reads ResNets with ``downsample`` and ``fc``, with their own or with a 3x3 stem."""
    if not shapes.some(r"layer1\.0\.") or not shapes.some(r"layer\d\.\d+\.downsample|fc\."):
        return []
    if shapes.some(r"layer\d\.\d+\.shortcut|linear\."):
        return []
    width, channels, kernel, _ = shapes.dims("conv1.weight", 4)
    blocks, block = _blocks(shapes), _kind(shapes)
    stems: tuple[Stem, ...] = ("7x7",) if kernel == 7 else ("3x3", "3x3 with pooling")
    name = _named("resnet", blocks, block)
    unsaid = "whether pooling follows the 3x3 convolution, no tensor says"
    return [
        Reading(
            arch=with_width(f"torchvision/{name}{_STEM_NAMES[stem]}", width, 64),
            classes=shapes.dims("fc.weight", 2)[0],
            channels=channels,
            width=width,
            make=partial(ImageNetResNet, blocks=blocks, width=width, block=block, stem=stem),
            theirs=renamed((r"\.shortcut\.", ".downsample."), (r"^linear\.", "fc.")),
            evidence=(
                *_seen(blocks, kernel, "'downsample' and 'fc'"),
                *((unsaid,) if len(stems) > 1 else ()),
            ),
        )
        for stem in stems
    ]


def _transformers(shapes: Shapes) -> list[Reading]:
    """Reads ``resnet.encoder.stages.0.layers.0.layer.0.convolution``."""
    root = r"resnet\.encoder\.stages"
    if not shapes.some(rf"{root}\.0\."):
        return []
    stem = "resnet.embedder.embedder"
    width, channels, kernel, _ = shapes.dims(f"{stem}.convolution.weight", 4)
    one, two, three, four = (
        shapes.count(rf"{root}\.{stage}\.layers\.(\d+)\.") for stage in range(4)
    )
    blocks = (one, two, three, four)
    deep = shapes.some(rf"{root}\.\d\.layers\.\d+\.layer\.2\.")
    block = Bottleneck if deep else BasicBlock
    rules = [
        (rf"^layer{stage + 1}\.(\d+)\.", rf"resnet.encoder.stages.{stage}.layers.\1.")
        for stage in range(4)
    ]
    rules += [(r"^conv1\.", f"{stem}.convolution."), (r"^bn1\.", f"{stem}.normalization.")]
    for index in range(3):
        rules.append((rf"\.conv{index + 1}\.", f".layer.{index}.convolution."))
        rules.append((rf"\.bn{index + 1}\.", f".layer.{index}.normalization."))
    rules.append((r"\.shortcut\.0\.", ".shortcut.convolution."))
    rules.append((r"\.shortcut\.1\.", ".shortcut.normalization."))
    rules.append((r"^linear\.", "classifier.1."))
    make = partial(ImageNetResNet, blocks=blocks, width=width, block=block, stem="7x7")
    return [
        Reading(
            arch=with_width(f"transformers/{_named('resnet', blocks, block)}", width, 64),
            classes=shapes.dims("classifier.1.weight", 2)[0],
            channels=channels,
            width=width,
            make=make,
            theirs=renamed(*rules),
            evidence=_seen(blocks, kernel, "'shortcut' and 'classifier.1'"),
        )
    ]


FAMILIES = (
    ArchFamily("CIFAR", _cifar),
    ArchFamily("torchvision and timm", _torchvision),
    ArchFamily("transformers", _transformers),
)
