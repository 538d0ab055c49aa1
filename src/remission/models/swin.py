"""Swin transformer (Liu et al., ICCV 2021), at the resolution of small images.

Attention acts within windows, which every other block shifts by half a window, and has a relative
position bias. Between stages 2x2 tokens are merged into one. Small images get smaller patches and
windows than the published 4 and 7 (:func:`patch_size`, :func:`window_size`); at 224x224 pixels this
is Swin-T. There is no stochastic depth. Layers have the names of the authors' code
(``patch_embed.proj``, ``layers.0.blocks.0.attn.qkv``, ``layers.0.downsample.reduction``, ...,
``norm``), and the last one is ``linear``. For weights pretrained on ImageNet there is
``torchvision:swin_t@IMAGENET1K_V1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.attention import Attention, Perceptron, first_weights, heads_of, padded
from remission.models.classifier import Classifier

MASKED = -100.0
"""What is added to the logits of attention between tokens that must not see each other."""


def patch_size(shape: tuple[int, int, int]) -> int:
    """Returns the side of a patch in pixels: a sixteenth of the image's longer side, at most 4."""
    return min(4, -(-max(shape[1:]) // 16))


def window_size(height: int, width: int) -> int:
    """Returns the side of a window in tokens: the published 7 if it divides the map, else 4."""
    return 7 if height % 7 == width % 7 == 0 else 4


Filling = Literal["masked", "before the shift", "after the shift"]
"""How zeros fill windows that stick out of a map. Masked: no token sees them. Otherwise all tokens
see them, and the map is filled before it is shifted (as by torchvision) or after (as by timm)."""


@dataclass(frozen=True)
class SwinSizes:
    """Sizes of somebody else's Swin transformer, which its weights were trained with.

    Args:
        patch: the side of a patch in pixels.
        windows: the side of a window in tokens, for each stage.
        heads: the number of heads, for each stage.
        filling: see :data:`Filling`.
    """

    patch: int
    windows: tuple[int, ...]
    heads: tuple[int, ...]
    filling: Filling


class WindowAttention(Attention):
    """Attention within windows of M x M tokens, with a bias for each offset of two tokens.

    Args:
        channels: D, the number of channels of a token.
        heads: the number of heads, a divisor of ``channels``.
        window: M.
        filling: see :data:`Filling`.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int, filling: Filling = "masked") -> None:
        super().__init__(channels, heads)
        self.window: int = window
        self.filling: Filling = filling
        offsets = 2 * window - 1
        self.relative_position_bias_table = nn.Parameter(torch.empty(offsets**2, heads))
        position = torch.arange(window)
        offset = position[:, None] - position[None, :] + window - 1  # (M, M), in 0 .. 2 M - 2
        index = offset[:, None, :, None] * offsets + offset[None, :, None, :]  # (M, M, M, M)
        self.register_buffer("relative_position_index", index.flatten(), persistent=False)

    def within(self, x: Tensor, shift: int) -> Tensor:
        """(N, h, w, D) -> (N, h, w, D), with windows shifted by ``shift`` tokens right and down."""
        m, (height, width) = self.window, x.shape[1:3]
        early, late = (shift, 0) if self.filling == "after the shift" else (0, shift)
        grid = F.pad(rolled(x, -early), (0, 0, 0, -width % m, 0, -height % m))
        grid = rolled(grid, -late)
        sizes = grid.shape
        own = (height, width) if self.filling == "masked" else (sizes[1], sizes[2])
        regions = window_regions(*own, m, shift, x.device)
        out = unwindowed(self(windowed(grid, m), self.bias(regions)), sizes, m)
        return rolled(rolled(out, late)[:, :height, :width], early)

    def bias(self, regions: Tensor | None) -> Tensor:
        """Returns the bias, (windows, heads, M^2, M^2), or without regions (1, heads, M^2, M^2)."""
        square = self.window**2
        table = self.relative_position_bias_table[self.relative_position_index]
        bias = table.view(square, square, self.heads).permute(2, 0, 1)[None]
        if regions is None:
            return bias
        apart = regions[:, None, :, None] != regions[:, None, None, :]  # (windows, 1, M^2, M^2)
        return bias + MASKED * apart


def rolled(x: Tensor, shift: int) -> Tensor:
    """(N, h, w, D), moved ``shift`` positions right and down; what leaves comes in again."""
    return x.roll((shift, shift), (1, 2)) if shift else x


def window_regions(
    height: int, width: int, window: int, shift: int, device: torch.device
) -> Tensor | None:
    """Numbers the tokens of each window, (windows, M^2); those with equal numbers see each other.

    After a shift, windows at the edge hold tokens of opposite edges, which must not see each other;
    and no token sees what fills a window that sticks out. None: in every window all tokens see each
    other.
    """
    if not shift and height % window == width % window == 0:
        return None

    def along(size: int) -> Tensor:
        """Numbers one side in its order after the shift: wrapped tokens, filling, or neither."""
        position = torch.arange(size + -size % window, device=device)
        return ((position < shift).long() + 2 * (position >= size)).roll(-shift)

    numbers = along(height)[:, None] * 4 + along(width)[None, :]
    return windowed(numbers[None, :, :, None], window)[..., 0]


def windowed(x: Tensor, window: int) -> Tensor:
    """(N, h, w, D) -> (N x windows, M^2, D)."""
    images, height, width, channels = x.shape
    tiles = x.view(images, height // window, window, width // window, window, channels)
    return tiles.transpose(2, 3).reshape(-1, window**2, channels)


def unwindowed(tokens: Tensor, sizes: torch.Size, window: int) -> Tensor:
    """(N x windows, M^2, D) -> (N, h, w, D), which ``sizes`` says."""
    images, height, width, channels = sizes
    tiles = tokens.view(images, height // window, width // window, window, window, channels)
    return tiles.transpose(2, 3).reshape(sizes)


class SwinBlock(nn.Module):
    """Window attention and a perceptron, each after layer normalisation and around a shortcut."""

    def __init__(
        self,
        channels: int,
        window: int,
        shift: int,
        heads: int | None = None,
        filling: Filling = "masked",
    ) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(channels)
        heads = heads or heads_of(channels, 32)
        self.attn = WindowAttention(channels, heads, window, filling)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, D) -> (N, h, w, D)."""
        x = x + self.attn.within(self.norm1(x), self.shift)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Merging(nn.Module):
    """A layer that turns 2x2 tokens into one token with twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, D) -> (N, h / 2, w / 2, 2 D), rounded up."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        out: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return out


class SwinStage(nn.Module):
    """Blocks at one resolution, and the merging that follows all but the last stage."""

    def __init__(self, blocks: list[SwinBlock], downsample: Merging | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, D) -> (N, h / 2, w / 2, 2 D), rounded up; in the last stage (N, h, w, D)."""
        out: Tensor = self.downsample(self.blocks(x))
        return out


class Swin(Classifier):
    """A Swin transformer whose patches and windows fit small images.

    Args:
        depths: number of blocks in each stage; (2, 2, 6, 2) is Swin-T.
        width: D, the number of channels of a token in the first stage; 96 in Swin-T. Each merging
            doubles it. Heads have about 32 channels.
        sizes: those of somebody else's model; None: patches and windows that fit the images.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        depths: tuple[int, ...],
        width: int,
        sizes: SwinSizes | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.patch = sizes.patch if sizes else patch_size(self.shape)
        height, across = (-(-side // self.patch) for side in self.shape[1:])
        window = window_size(height, across)
        self.patch_embed = nn.ModuleDict(
            {
                "proj": nn.Conv2d(self.shape[0], width, self.patch, self.patch),
                "norm": nn.LayerNorm(width),
            }
        )
        stages, channels = [], width
        for stage, depth in enumerate(depths):
            side = sizes.windows[stage] if sizes else min(window, max(height, across))
            # a window that holds the whole map needs no shift
            shift = 0 if max(height, across) <= side else side // 2
            heads = sizes.heads[stage] if sizes else None
            filling: Filling = sizes.filling if sizes else "masked"
            blocks = [
                SwinBlock(channels, side, shift * (i % 2), heads, filling) for i in range(depth)
            ]
            last = stage == len(depths) - 1
            stages.append(SwinStage(blocks, None if last else Merging(channels)))
            channels *= 1 if last else 2
            height, across = -(-height // 2), -(-across // 2)
        self.layers = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, self.classes)
        first_weights(self)
        for module in self.modules():
            if isinstance(module, WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width, h, w): the normalised tokens of the last stage as a map."""
        patches = self.patch_embed["proj"](padded(normal, self.patch))
        x = self.patch_embed["norm"](patches.permute(0, 2, 3, 1))  # (N, h, w, D) from here on
        tokens: Tensor = self.norm(self.layers(x))
        return tokens.permute(0, 3, 1, 2)

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
