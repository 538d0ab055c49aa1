"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, CVPR 2022)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, D, h, w)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution and a perceptron on each position, scaled, around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, D, h, w)."""
        out = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        out = self.gamma * self.pwconv2(F.gelu(self.pwconv1(out)))
        total: Tensor = x + out.permute(0, 3, 1, 2)
        return total


class ConvNeXt(Classifier):
    """A convolutional network built like a transformer.

    Args:
        depths: number of blocks in each stage; (3, 3, 9, 3) is ConvNeXt-T.
        widths: number of channels in each stage; (96, 192, 384, 768) in ConvNeXt-T.
        patch: side of the patches that the stem makes channels of; 4 as published.
        eps: what the last layer normalisation adds to the variance; 1e-12 in transformers.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int],
        widths: Sequence[int],
        patch: int,
        eps: float = 1e-6,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        stem = nn.Conv2d(self.shape[0], widths[0], patch, patch)
        self.downsample = nn.ModuleList([nn.Sequential(stem, ChannelNorm(widths[0]))])
        for before, after in itertools.pairwise(widths):
            self.downsample.append(
                nn.Sequential(ChannelNorm(before), nn.Conv2d(before, after, 2, 2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=eps)
        self.linear = nn.Linear(widths[-1], self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / (8 patch), W / (8 patch)), rounded down."""
        out = normal
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            out = stage(downsample(out))
        return out

    def head(self, features: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, K) logits: average, layer normalisation, the last linear layer."""
        logits: Tensor = self.linear(self.norm(features.mean((2, 3))))
        return logits

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
