"""ConvNeXt under the names of torchvision, of timm and of its authors."""

from __future__ import annotations

from functools import partial

from remission.models.imagenet.convnext import ConvNeXt
from remission.recognise.families.reading import ArchFamily, Reading, Shapes, Theirs, renamed

_NAMES: dict[tuple[tuple[int, ...], int], str] = {
    ((3, 3, 9, 3), 96): "convnext_tiny",
    ((3, 3, 27, 3), 96): "convnext_small",
    ((3, 3, 27, 3), 128): "convnext_base",
}


def _reading(
    shapes: Shapes, layout: str, theirs: Theirs, depths: list[int], last: str
) -> list[Reading]:
    stages = range(len(depths))
    stem = theirs("downsample.0.0.weight")[0]
    scales = [theirs(f"stages.{stage}.0.dwconv.weight")[0] for stage in stages]
    width, channels, patch, _ = shapes.dims(stem, 4)
    make = partial(
        ConvNeXt,
        depths=tuple(depths),
        widths=tuple(shapes.dims(key, 4)[0] for key in scales),
        patch=patch,
        eps=1e-12 if layout == "transformers" else 1e-6,
    )
    name = _NAMES.get((tuple(depths), width)) or f"convnext-{'-'.join(map(str, depths))}:{width}"
    return [
        Reading(
            arch=f"{layout}/{name}",
            classes=shapes.dims(last, 2)[0],
            channels=channels,
            width=width,
            make=make,
            theirs=theirs,
            evidence=(
                f"stages of {', '.join(map(str, depths))} blocks with 7x7 depthwise convolutions",
                f"patches of {patch}x{patch}",
            ),
        )
    ]


def _torchvision(shapes: Shapes) -> list[Reading]:
    """Reads ``features.1.0.block.0`` and ``layer_scale``."""
    if not shapes.some(r"features\.\d\.\d+\.layer_scale$"):
        return []
    depths = [shapes.count(rf"features\.{stage}\.(\d+)\.block\.") for stage in (1, 3, 5, 7)]
    rules = [(rf"^stages\.{i}\.(\d+)\.", rf"features.{2 * i + 1}.\1.") for i in range(4)]
    rules += [(rf"^downsample\.{i}\.", f"features.{2 * i}.") for i in range(4)]
    rules += [
        (r"\.dwconv\.", ".block.0."),
        (r"(\.\d+)\.norm\.", r"\1.block.2."),
        (r"\.pwconv1\.", ".block.3."),
        (r"\.pwconv2\.", ".block.5."),
        (r"\.gamma$", ".layer_scale"),
        (r"^norm\.", "classifier.0."),
        (r"^linear\.", "classifier.2."),
    ]
    return _reading(shapes, "torchvision", renamed(*rules), depths, "classifier.2.weight")


def _timm(shapes: Shapes) -> list[Reading]:
    """Reads ``stages.0.blocks.0.conv_dw``."""
    if not shapes.some(r"stages\.\d\.blocks\.\d+\.conv_dw\."):
        return []
    stages = range(shapes.count(r"stages\.(\d+)\."))
    depths = [shapes.count(rf"stages\.{stage}\.blocks\.(\d+)\.") for stage in stages]
    theirs = renamed(
        (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"^downsample\.0\.", "stem."),
        (r"^downsample\.(\d+)\.", r"stages.\1.downsample."),
        (r"\.dwconv\.", ".conv_dw."),
        (r"\.pwconv(\d)\.", r".mlp.fc\1."),
        (r"^norm\.", "head.norm."),
        (r"^linear\.", "head.fc."),
    )
    return _reading(shapes, "timm", theirs, depths, "head.fc.weight")


def _authors(shapes: Shapes) -> list[Reading]:
    """Reads ``downsample_layers.0.0`` and ``stages.0.0.dwconv``."""
    if not shapes.some(r"downsample_layers\.0\."):
        return []
    stages = range(shapes.count(r"stages\.(\d+)\."))
    depths = [shapes.count(rf"stages\.{stage}\.(\d+)\.") for stage in stages]
    theirs = renamed((r"^downsample\.", "downsample_layers."), (r"^linear\.", "head."))
    return _reading(shapes, "authors", theirs, depths, "head.weight")


def _transformers(shapes: Shapes) -> list[Reading]:
    """Reads ``convnext.encoder.stages.0.layers.0.dwconv``."""
    root = r"convnext\.encoder\.stages"
    if not shapes.some(rf"{root}\.0\."):
        return []
    stages = range(shapes.count(rf"{root}\.(\d+)\."))
    depths = [shapes.count(rf"{root}\.{stage}\.layers\.(\d+)\.") for stage in stages]
    theirs = renamed(
        (r"^stages\.(\d+)\.(\d+)\.", r"convnext.encoder.stages.\1.layers.\2."),
        (r"^downsample\.0\.0\.", "convnext.embeddings.patch_embeddings."),
        (r"^downsample\.0\.1\.", "convnext.embeddings.layernorm."),
        (r"^downsample\.(\d+)\.", r"convnext.encoder.stages.\1.downsampling_layer."),
        (r"(layers\.\d+)\.norm\.", r"\1.layernorm."),
        (r"\.gamma$", ".layer_scale_parameter"),
        (r"^norm\.", "convnext.layernorm."),
        (r"^linear\.", "classifier."),
    )
    return _reading(shapes, "transformers", theirs, depths, "classifier.weight")


FAMILIES = (
    ArchFamily("torchvision", _torchvision),
    ArchFamily("timm", _timm),
    ArchFamily("authors", _authors),
    ArchFamily("transformers", _transformers),
)
