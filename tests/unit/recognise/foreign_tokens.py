"""Transformers of other packages, and ConvNeXt, as formulas; see :mod:`foreign`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.unit.recognise.foreign import Formula, Tape

VIT_NAMES = {
    "timm": {
        "token": "cls_token", "places": "pos_embed", "patch": "patch_embed.proj",
        "block": "blocks.{}", "one": "norm1", "two": "norm2", "out": "attn.proj",
        "up": "mlp.fc1", "down": "mlp.fc2", "norm": "norm", "last": "head",
    },
    "torchvision": {
        "token": "class_token", "places": "encoder.pos_embedding", "patch": "conv_proj",
        "block": "encoder.layers.encoder_layer_{}", "one": "ln_1", "two": "ln_2",
        "out": "self_attention.out_proj", "up": "mlp.0", "down": "mlp.3",
        "norm": "encoder.ln", "last": "heads.head",
    },
    "transformers": {
        "token": "vit.embeddings.cls_token", "places": "vit.embeddings.position_embeddings",
        "patch": "vit.embeddings.patch_embeddings.projection", "block": "vit.encoder.layer.{}",
        "one": "layernorm_before", "two": "layernorm_after", "out": "attention.output.dense",
        "up": "intermediate.dense", "down": "output.dense", "norm": "vit.layernorm",
        "last": "classifier",
    },
}  # fmt: skip


PARTS = ("query", "key", "value")
SWIN_OF_TRANSFORMERS = (
    (r"^patch_embed\.proj\.", "swin.embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "swin.embeddings.norm."),
    (r"^layers\.1\.downsample\.", "layers.0.downsample."),
    (r"^layers\.", "swin.encoder.layers."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.relative", ".attention.self.relative"),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^norm\.", "swin.layernorm."),
    (r"^head\.fc\.", "classifier."),
)


def _qkv(t: Tape, x: Tensor, key: str, layout: str) -> list[Tensor]:
    """Queries, keys and values, each (N, L, D)."""
    n = x.shape[-1]
    if layout == "transformers":
        parts = ("query", "key", "value")
        return [t.linear(x, f"{key}.attention.attention.{part}", n) for part in parts]
    if layout == "timm":
        return list(t.linear(x, f"{key}.attn.qkv", 3 * n).chunk(3, -1))
    weight = t.tensor(f"{key}.self_attention.in_proj_weight", 3 * n, n)
    bias = t.tensor(f"{key}.self_attention.in_proj_bias", 3 * n)
    return list(F.linear(x, weight, bias).chunk(3, -1))


_EPS = {"transformers": 1e-12}
"""What layer normalisation adds to the variance, where that is not 1e-6."""


def vit(layout: str, *, width: int, pool: str = "token", token: bool = True) -> Formula:
    """Two blocks over patches of 4x4, with heads of about 64 channels (128: two heads)."""
    names, eps = VIT_NAMES[layout], _EPS.get(layout, 1e-6)

    def formula(t: Tape, x: Tensor) -> Tensor:
        if token:
            first = t.tensor(names["token"], 1, 1, width).expand(len(x), -1, -1)
        places = (x.shape[2] // 4) * (x.shape[3] // 4) + int(token)
        place = t.tensor(names["places"], 1, places, width)
        x = t.conv(x, names["patch"], width, 4, 4, 0, bias=True).flatten(2).mT
        x = (torch.cat([first, x], 1) if token else x) + place
        for i in range(2):
            key = names["block"].format(i)
            normal = t.layer_norm(x, f"{key}.{names['one']}", eps)
            q, k, v = _qkv(t, normal, key, layout)
            out = []
            for head in range(max(1, width // 64)):
                part = slice(64 * head, 64 * (head + 1))
                logits = q[..., part] @ k[..., part].mT / math.sqrt(min(64, width))
                out.append(logits.softmax(-1) @ v[..., part])
            x = x + t.linear(torch.cat(out, -1), f"{key}.{names['out']}", width)
            y = t.layer_norm(x, f"{key}.{names['two']}", eps)
            y = F.gelu(t.linear(y, f"{key}.{names['up']}", 4 * width))
            x = x + t.linear(y, f"{key}.{names['down']}", width)
        if pool == "token":
            pooled = t.layer_norm(x, names["norm"], eps)[:, 0]
        else:
            pooled = t.layer_norm(x[:, int(token) :].mean(1), "fc_norm", 1e-6)
        return t.linear(pooled, names["last"], 7)

    return formula


def _window_attention(
    t: Tape, x: Tensor, key: str, heads: int, m: int, shift: int, layout: str
) -> Tensor:
    """Attention in one map (h, w, D) that is a whole number of windows, token by token."""
    h, w, d = x.shape
    table = t.tensor(f"{key}.attn.relative_position_bias_table", (2 * m - 1) ** 2, heads)
    index = torch.zeros(m**2, m**2, dtype=torch.int64)
    for a in range(m**2):
        for b in range(m**2):
            down, right = a // m - b // m + m - 1, a % m - b % m + m - 1
            index[a, b] = down * (2 * m - 1) + right
    if layout == "torchvision":
        t.state.setdefault(f"{key}.attn.relative_position_index", index.flatten())
    if layout == "transformers":
        three = [t.linear(x, f"{key}.attention.self.{part}", d) for part in PARTS]
    else:
        three = list(t.linear(x, f"{key}.attn.qkv", 3 * d).chunk(3, -1))
    qkv = torch.stack(three, 2).view(h, w, 3, heads, d // heads)
    out = torch.zeros(h, w, heads, d // heads)
    for top in range(0, h, m):
        for left in range(0, w, m):
            cells = [((top + i) % h, (left + j) % w) for i in range(m) for j in range(m)]
            # after the shift, rows and columns that came round the edge see only each other
            came = [(i >= h - shift, j >= w - shift) for i, j in cells]
            rows, columns = zip(*cells, strict=True)
            q, k, v = (qkv[rows, columns, part].transpose(0, 1) for part in range(3))
            logits = q @ k.mT / math.sqrt(d // heads) + table[index].permute(2, 0, 1)
            apart = torch.tensor([[one != other for other in came] for one in came])
            attended = (logits - 100.0 * (apart if shift else 0 * apart)).softmax(-1) @ v
            out[rows, columns] = attended.transpose(0, 1)
    return t.linear(out.flatten(2), f"{key}.attn.proj", d)


def swin(layout: str, width: int) -> Formula:
    """Two stages of two blocks, patches of 4x4; windows of 3 (torchvision), or as large as fits."""

    classic = layout != "torchvision"

    def names(stage: int, i: int) -> str:
        return f"layers.{stage}.blocks.{i}" if classic else f"features.{2 * stage + 1}.{i}"

    def merge(t: Tape, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))]
        key = "layers.1.downsample" if classic else "features.2"
        y = t.layer_norm(torch.cat(corners, -1), f"{key}.norm", 1e-5)
        return t.linear(y, f"{key}.reduction", 2 * width, bias=False)

    def attend(t: Tape, x: Tensor, key: str, heads: int, window: int, shift: int) -> Tensor:
        h, w = x.shape[1:3]
        down, right = -h % window, -w % window
        early, late = (shift, 0) if layout == "timm" else (0, shift)
        x = F.pad(x.roll((-early, -early), (1, 2)), (0, 0, 0, right, 0, down))
        x = x.roll((-late, -late), (1, 2))
        x = torch.stack([_window_attention(t, one, key, heads, window, shift, layout) for one in x])
        return x.roll((late, late), (1, 2))[:, :h, :w].roll((early, early), (1, 2))

    def formula(t: Tape, x: Tensor) -> Tensor:
        stem = ("patch_embed.proj", "patch_embed.norm") if classic else (
            "features.0.0", "features.0.2")  # fmt: skip
        x = t.conv(x, stem[0], width, 4, 4, 0, bias=True).permute(0, 2, 3, 1)
        x = t.layer_norm(x, stem[1], 1e-5)
        up, down = ("mlp.fc1", "mlp.fc2") if classic else ("mlp.0", "mlp.3")
        for stage in range(2):
            x = merge(t, x) if stage else x
            side, d = x.shape[1], x.shape[3]
            window = min(3, side) if layout == "timm" else 3
            for i in range(2):
                key, shift = names(stage, i), (window // 2) * i * int(side > window)
                y = t.layer_norm(x, f"{key}.norm1", 1e-5)
                x = x + attend(t, y, key, stage + 1, window, shift)
                y = F.gelu(t.linear(t.layer_norm(x, f"{key}.norm2", 1e-5), f"{key}.{up}", 4 * d))
                x = x + t.linear(y, f"{key}.{down}", d)
        x = t.layer_norm(x, "norm", 1e-5).mean((1, 2))
        return t.linear(x, "head.fc" if classic else "head", 7)

    return formula


CONVNEXT_NAMES = {
    "timm": ("stem.", "stages.{}.downsample.", "stages.{}.blocks.{}.", "conv_dw", "norm",
             "mlp.fc1", "mlp.fc2", "gamma", "head.norm", "head.fc"),
    "torchvision": ("features.0.", "features.{}.", "features.{}.{}.", "block.0", "block.2",
                    "block.3", "block.5", "layer_scale", "classifier.0", "classifier.2"),
    "authors": ("downsample_layers.0.", "downsample_layers.{}.", "stages.{}.{}.", "dwconv", "norm",
                "pwconv1", "pwconv2", "gamma", "norm", "head"),
    "transformers": ("convnext.embeddings.", "convnext.encoder.stages.{}.downsampling_layer.",
                     "convnext.encoder.stages.{}.layers.{}.", "dwconv", "layernorm", "pwconv1",
                     "pwconv2", "layer_scale_parameter", "convnext.layernorm", "classifier"),
}  # fmt: skip


def convnext(layout: str) -> Formula:
    """Four stages of 1, 2, 1, 1 blocks, 3 channels at the beginning."""
    stem, lower, block, conv, norm, up, down, scale, final, last = CONVNEXT_NAMES[layout]

    def channel_norm(t: Tape, x: Tensor, key: str) -> Tensor:
        return t.layer_norm(x.permute(0, 2, 3, 1), key, 1e-6).permute(0, 3, 1, 2)

    def formula(t: Tape, x: Tensor) -> Tensor:
        parts = ("patch_embeddings", "layernorm") if layout == "transformers" else ("0", "1")
        x = t.conv(x, f"{stem}{parts[0]}", 3, 4, 4, 0, bias=True)
        x = channel_norm(t, x, f"{stem}{parts[1]}")
        for stage, depth in enumerate((1, 2, 1, 1)):
            even = 2 * stage if layout == "torchvision" else stage
            if stage:
                key = lower.format(even)
                x = channel_norm(t, x, f"{key}0")
                x = t.conv(x, f"{key}1", 2 * x.shape[1], 2, 2, 0, bias=True)
            n = x.shape[1]
            for i in range(depth):
                key = block.format(even + 1 if layout == "torchvision" else stage, i)
                y = t.conv(x, f"{key}{conv}", n, 7, groups=n, bias=True).permute(0, 2, 3, 1)
                y = F.gelu(t.linear(t.layer_norm(y, f"{key}{norm}", 1e-6), f"{key}{up}", 4 * n))
                y = t.linear(y, f"{key}{down}", n).permute(0, 3, 1, 2)
                sides = (n, 1, 1) if layout == "torchvision" else (n,)
                x = x + t.tensor(f"{key}{scale}", *sides).view(n, 1, 1) * y
        return t.linear(t.layer_norm(x.mean((2, 3)), final, _EPS.get(layout, 1e-6)), last, 7)

    return formula
