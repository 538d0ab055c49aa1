"""Swin transformers: our own, those of the authors and of timm, and torchvision's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from remission.models import swin as own
from remission.models.swin import Filling, Swin, SwinSizes
from remission.recognise.families.reading import (
    ArchFamily,
    LacksError,
    Reading,
    Shapes,
    Theirs,
    renamed,
    with_width,
)

_NAMES: dict[tuple[tuple[int, ...], int], str] = {
    ((2, 2, 6, 2), 96): "tiny",
    ((2, 2, 18, 2), 96): "small",
    ((2, 2, 18, 2), 128): "base",
}
_SIDES = (32, 28, 64, 224, 96, 128, 256, 48, 16, 160, 192)
"""Sides of images that are tried for our own transformers, whose windows fit the images."""
_WIDEST = 32
"""The largest side of a window in tokens: memory grows with its fourth power."""
_TABLE = "attn.relative_position_bias_table"


def _depths(shapes: Shapes) -> tuple[int, ...]:
    stages = range(shapes.count(r"layers\.(\d+)\."))
    return tuple(shapes.count(rf"layers\.{stage}\.blocks\.(\d+)\.") for stage in stages)


def _own(shapes: Shapes) -> list[Reading]:
    """Reads our own Swin transformers, which have ``linear``."""
    if not shapes.some(rf"layers\.0\.blocks\.0\.{_TABLE}") or not shapes.some(r"linear\."):
        return []
    width, channels, patch, _ = shapes.dims("patch_embed.proj.weight", 4)
    depths = _depths(shapes)
    windows, _ = _windows_and_heads(
        shapes, [f"layers.{i}.blocks.0.{_TABLE}" for i in range(len(depths))]
    )
    side = next((side for side in _SIDES if _fits(side, patch, windows)), 16 * patch)
    name = "swin_t" if depths == (2, 2, 6, 2) else f"swin-{'-'.join(map(str, depths))}"
    return [
        Reading(
            arch=with_width(name, width, 96),
            classes=shapes.dims("linear.weight", 2)[0],
            channels=channels,
            width=width,
            example=(side, side),
            make=partial(Swin, depths=depths, width=width),
            theirs=renamed(),
            evidence=(
                f"stages of {', '.join(map(str, depths))} blocks, patches of {patch}x{patch}",
            ),
        )
    ]


def _fits(side: int, patch: int, windows: Sequence[int]) -> bool:
    """Says whether our Swin transformer for square images of ``side`` has these sizes."""
    if own.patch_size((1, side, side)) != patch:
        return False
    tokens = -(-side // patch)
    window = own.window_size(tokens, tokens)
    for given in windows:
        if given != min(window, tokens):
            return False
        tokens = -(-tokens // 2)
    return True


def _windows_and_heads(
    shapes: Shapes, keys: Sequence[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Reads both from the first table of biases of each stage, ((2 M - 1)^2, heads)."""
    tables = [shapes.dims(key, 2) for key in keys]
    windows = tuple((math.isqrt(offsets) + 1) // 2 for offsets, _ in tables)
    for key, window in zip(keys, windows, strict=True):
        if window > _WIDEST:
            raise LacksError(key)
    return windows, tuple(heads for _, heads in tables)


def _reading(
    shapes: Shapes, arch: str, theirs: Theirs, depths: tuple[int, ...], last: str
) -> list[Reading]:
    tables = [theirs(f"layers.{i}.blocks.0.{_TABLE}")[0] for i in range(len(depths))]
    windows, heads = _windows_and_heads(shapes, tables)
    width, channels, patch, _ = shapes.dims(theirs("patch_embed.proj.weight")[0], 4)
    filling: Filling = "after the shift" if arch.startswith("timm/") else "before the shift"
    sizes = SwinSizes(patch, windows, heads, filling)
    size = _size(patch, windows)
    return [
        Reading(
            arch=arch,
            classes=shapes.dims(last, 2)[0],
            channels=channels,
            width=width,
            size=size,
            example=size or (224, 224),
            make=partial(Swin, depths=depths, width=width, sizes=sizes),
            theirs=theirs,
            evidence=(
                f"stages of {', '.join(map(str, depths))} blocks, patches of {patch}x{patch}",
                f"windows of {', '.join(map(str, windows))} tokens in the stages",
                f"{', '.join(map(str, heads))} heads in the stages",
            ),
            constants=r".*\.(relative_position_index|attn_mask)$",
        )
    ]


def _size(patch: int, windows: Sequence[int]) -> tuple[int, int] | None:
    """Returns (H, W) of the images where a window was made smaller to fit the map of its stage."""
    for stage, window in enumerate(windows):
        if window < windows[0]:
            side = patch * window * 2**stage
            return side, side
    return None


def _packages(shapes: Shapes) -> list[Reading]:
    """Reads ``layers.0.blocks.0.attn.qkv`` and ``head`` or ``head.fc``."""
    if not shapes.some(rf"layers\.0\.blocks\.0\.{_TABLE}") or shapes.some(r"linear\."):
        return []
    depths = _depths(shapes)
    head = "head.fc." if shapes.some(r"head\.fc\.") else "head."
    rules = [(r"^linear\.", head)]
    if not shapes.some(r"layers\.0\.downsample\."):  # timm merges at the beginning of stages
        merged = reversed(range(len(depths) - 1))
        rules += [(rf"^layers\.{i}\.downsample\.", f"layers.{i + 1}.downsample.") for i in merged]
    width = shapes.dims("patch_embed.proj.weight", 4)[0]
    name = _NAMES.get((depths, width)) or f"{'-'.join(map(str, depths))}:{width}"
    return _reading(shapes, f"timm/swin_{name}", renamed(*rules), depths, f"{head}weight")


def _torchvision(shapes: Shapes) -> list[Reading]:
    """Reads ``features.1.0.attn.qkv`` and ``head``."""
    if not shapes.some(rf"features\.1\.0\.{_TABLE}"):
        return []
    stages = [n for n in shapes.numbers(r"features\.(\d+)\.\d+\.attn\.") if n % 2]
    depths = tuple(shapes.count(rf"features\.{stage}\.(\d+)\.") for stage in stages)
    merges = [(rf"^layers\.{i}\.downsample\.", f"features.{2 * i + 2}.") for i in range(8)]
    blocks = [(rf"^layers\.{i}\.blocks\.", f"features.{2 * i + 1}.") for i in range(8)]
    theirs = renamed(
        *merges,
        *blocks,
        (r"^patch_embed\.proj\.", "features.0.0."),
        (r"^patch_embed\.norm\.", "features.0.2."),
        (r"\.mlp\.fc1\.", ".mlp.0."),
        (r"\.mlp\.fc2\.", ".mlp.3."),
        (r"^linear\.", "head."),
    )
    width = shapes.dims("features.0.0.weight", 4)[0]
    name = _NAMES.get((depths, width))
    short = f"swin_{name[0]}" if name else f"swin-{'-'.join(map(str, depths))}:{width}"
    return _reading(shapes, f"torchvision/{short}", theirs, depths, "head.weight")


def _transformers(shapes: Shapes) -> list[Reading]:
    """Reads ``swin.encoder.layers.0.blocks.0.attention.self``."""
    root = r"swin\.encoder\.layers"
    if not shapes.some(rf"{root}\.0\.blocks\.0\."):
        return []
    stages = range(shapes.count(rf"{root}\.(\d+)\."))
    depths = tuple(shapes.count(rf"{root}\.{stage}\.blocks\.(\d+)\.") for stage in stages)
    rules = renamed(
        (r"^layers\.", "swin.encoder.layers."),
        (r"^patch_embed\.proj\.", "swin.embeddings.patch_embeddings.projection."),
        (r"^patch_embed\.norm\.", "swin.embeddings.norm."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.attn\.proj\.", ".attention.output.dense."),
        (r"\.attn\.relative", ".attention.self.relative"),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
        (r"^norm\.", "swin.layernorm."),
        (r"^linear\.", "classifier."),
    )

    def theirs(key: str) -> tuple[str, ...]:
        (name,) = rules(key)
        block, qkv, last = name.partition(".attn.qkv.")
        parts = ("query", "key", "value") if qkv else ()
        return tuple(f"{block}.attention.self.{part}.{last}" for part in parts) or (name,)

    width = shapes.dims(theirs("patch_embed.proj.weight")[0], 4)[0]
    name = _NAMES.get((depths, width)) or f"{'-'.join(map(str, depths))}:{width}"
    return _reading(shapes, f"transformers/swin_{name}", theirs, depths, "classifier.weight")


FAMILIES = (
    ArchFamily("our own", _own),
    ArchFamily("timm", _packages),
    ArchFamily("torchvision", _torchvision),
    ArchFamily("transformers", _transformers),
)
