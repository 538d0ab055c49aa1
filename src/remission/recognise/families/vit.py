"""Vision transformers: our own, timm's, torchvision's, and those of transformers."""

from __future__ import annotations

import math
import re
from functools import partial

from remission.models.imagenet.vit import WIDER_HEADS, ImageNetViT, Pooled
from remission.models.vit import ViT
from remission.recognise.families.reading import (
    ArchFamily,
    LacksError,
    Reading,
    Shapes,
    Theirs,
    renamed,
)

_NAMES = {(192, 12): "vit_tiny", (384, 12): "vit_small", (768, 12): "vit_base"}
_LONGEST = 2**24
"""The most pixels of a row of all patches: no network takes larger images."""


def _square(tokens: int, patch: int) -> tuple[int, int] | None:
    """(H, W) of square images that are cut into so many patches; None: there are none."""
    side = math.isqrt(tokens)
    return (side * patch, side * patch) if side**2 == tokens else None


def _heads(width: int) -> str:
    """Says how many channels a head has, which no tensor says."""
    wider = WIDER_HEADS.get(width)
    return f"heads have {width // wider if wider else 64} channels, as published: no tensor says it"


def _named(width: int, depth: int, patch: int, size: tuple[int, int] | None) -> str:
    name = _NAMES.get((width, depth)) or f"vit-{depth}:{width}"
    return f"{name}_patch{patch}" + (f"_{size[0]}" if size else "")


def _own(shapes: Shapes) -> list[Reading]:
    """Reads our own transformers, which have ``blocks``, no class token, and ``linear``."""
    if not shapes.some(r"blocks\.0\.attn\.qkv\.") or not shapes.some(r"linear\."):
        return []
    width, channels, patch, _ = shapes.dims("patch_embed.proj.weight", 4)
    size = _square(shapes.dims("pos_embed", 3)[1], patch)
    depth = shapes.count(r"blocks\.(\d+)\.")
    name = "vit_tiny" if depth == 12 else f"vit-{depth}"
    return [
        Reading(
            arch=name if (depth, width) == (12, 192) else f"{name}:{width}",
            classes=shapes.dims("linear.weight", 2)[0],
            channels=channels,
            width=width,
            example=size or (8 * patch, 8 * patch),
            make=partial(ViT, depth=depth, width=width),
            theirs=renamed(),
            evidence=(f"{depth} blocks, patches of {patch}x{patch}, no class token",),
        )
    ]


def _reading(
    shapes: Shapes, layout: str, theirs: Theirs, depth: int, pooled: Pooled, token: bool
) -> list[Reading]:
    width, channels, patch, _ = shapes.dims(theirs("patch_embed.proj.weight")[0], 4)
    positions = shapes.dims(theirs("pos_embed")[0], 3)[1] - int(token)
    size = _square(positions, patch)
    if patch * positions > _LONGEST:
        raise LacksError(theirs("pos_embed")[0])
    if not token and size is None and _square(positions - 1, patch):
        raise LacksError(theirs("cls_token")[0])
    name = _named(width, depth, patch, size)
    if layout == "torchvision":
        name = {"vit_base": f"vit_b_{patch}"}.get(_NAMES.get((width, depth), ""), name)
    make = partial(
        ImageNetViT,
        depth=depth,
        width=width,
        patch=patch,
        token=token,
        pooled=pooled,
        eps=1e-12 if layout == "transformers" else 1e-6,
    )
    blocks, pooling = f"{depth} blocks of width {width}", f"pooled by {pooled}"
    cut = f"patches of {patch}x{patch}, {positions} of them"
    return [
        Reading(
            arch=f"{layout}/{name}",
            classes=shapes.dims(theirs("head_linear.weight")[0], 2)[0],
            channels=channels,
            width=width,
            size=size,
            example=size or (patch, patch * positions),
            make=make,
            theirs=theirs,
            evidence=(blocks, cut, pooling, _heads(width)),
        )
    ]


def _timm(shapes: Shapes) -> list[Reading]:
    """Reads ``blocks.0.attn.qkv`` and ``head``."""
    if not shapes.some(r"blocks\.0\.attn\.qkv\.") or shapes.some(r"(linear|layers)\."):
        return []
    token, mean = "cls_token" in shapes, shapes.some(r"fc_norm\.")
    if not token and not mean and not shapes.some(r"norm\."):
        mean = True
    pooled: Pooled = "mean, then norm" if mean else "token" if token else "mean"
    rules = [(r"^head_linear\.", "head."), *([(r"^norm\.", "fc_norm.")] if mean else [])]
    depth = shapes.count(r"blocks\.(\d+)\.")
    return _reading(shapes, "timm", renamed(*rules), depth, pooled, token)


def _torchvision(shapes: Shapes) -> list[Reading]:
    """Reads ``encoder.layers.encoder_layer_0`` and ``heads.head``."""
    if not shapes.some(r"encoder\.layers\.encoder_layer_0\."):
        return []
    older = shapes.some(r"encoder\.layers\.encoder_layer_0\.mlp\.linear_1\.")
    fc = ("linear_1", "linear_2") if older else ("0", "3")
    theirs = renamed(
        (r"^cls_token$", "class_token"),
        (r"^pos_embed$", "encoder.pos_embedding"),
        (r"^patch_embed\.proj\.", "conv_proj."),
        (r"^norm\.", "encoder.ln."),
        (r"^head_linear\.", "heads.head."),
        (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
        (r"\.norm(\d)\.", r".ln_\1."),
        (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
        (r"\.attn\.proj\.", ".self_attention.out_proj."),
        (r"\.mlp\.fc1\.", f".mlp.{fc[0]}."),
        (r"\.mlp\.fc2\.", f".mlp.{fc[1]}."),
    )
    depth = shapes.count(r"encoder\.layers\.encoder_layer_(\d+)\.")
    return _reading(shapes, "torchvision", theirs, depth, "token", True)


def _transformers(shapes: Shapes) -> list[Reading]:
    """Reads ``vit.encoder.layer.0.attention``, whose queries, keys and values lie apart."""
    if not shapes.some(r"(vit|deit)\.encoder\.layer\.0\."):
        return []
    root = "vit" if shapes.some(r"vit\.") else "deit"
    rules = renamed(
        (r"^cls_token$", f"{root}.embeddings.cls_token"),
        (r"^pos_embed$", f"{root}.embeddings.position_embeddings"),
        (r"^patch_embed\.proj\.", f"{root}.embeddings.patch_embeddings.projection."),
        (r"^norm\.", f"{root}.layernorm."),
        (r"^head_linear\.", "classifier."),
        (r"^blocks\.(\d+)\.", rf"{root}.encoder.layer.\1."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.attn\.proj\.", ".attention.output.dense."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    )

    def theirs(key: str) -> tuple[str, ...]:
        (name,) = rules(key)
        match = re.fullmatch(r"(.+)\.attn\.qkv\.(weight|bias)", name)
        if not match:
            return (name,)
        parts = ("query", "key", "value")
        return tuple(f"{match[1]}.attention.attention.{part}.{match[2]}" for part in parts)

    depth = shapes.count(rf"{root}\.encoder\.layer\.(\d+)\.")
    return _reading(shapes, "transformers", theirs, depth, "token", True)


FAMILIES = (
    ArchFamily("our own", _own),
    ArchFamily("timm", _timm),
    ArchFamily("torchvision", _torchvision),
    ArchFamily("transformers", _transformers),
)
