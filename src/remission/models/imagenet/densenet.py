"""DenseNet (Huang, Liu, van der Maaten, Weinberger, CVPR 2017) with the published stem.

Layers are named as in torchvision and timm, but for ``features``, which is ``body`` here since
``features`` is a method of every classifier. A layer puts its new channels behind the old ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class AppendingLayer(nn.Module):
    """A 1x1 and a 3x3 convolution; their few new channels follow the input's channels."""

    def __init__(self, channels_in: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, bottleneck, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck)
        self.conv2 = nn.Conv2d(bottleneck, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels_in + growth, h, w)."""
        out = self.conv1(F.relu(self.norm1(x), inplace=True))
        out = self.conv2(F.relu(self.norm2(out), inplace=True))
        return torch.cat([x, out], dim=1)


class HalvingTransition(nn.Module):
    """A 1x1 convolution to half the channels; pooling to half the resolution, rounded down."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, channels / 2, h / 2, w / 2)."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(x), inplace=True)), 2)


class ImageNetDenseNet(Classifier):
    """A densely connected network with a 7x7 convolution and max pooling at its beginning.

    Args:
        layers: number of layers in each dense block; (6, 12, 36, 24) is DenseNet-161.
        growth: number of channels that each layer adds; 48 in DenseNet-161.
        width: number of channels of the stem; 96 in DenseNet-161.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, *, layers: Sequence[int], growth: int, width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.body = nn.Sequential()
        self.body.add_module("conv0", nn.Conv2d(self.shape[0], width, 7, 2, 3, bias=False))
        self.body.add_module("norm0", nn.BatchNorm2d(width))
        self.body.add_module("relu0", nn.ReLU(inplace=True))
        self.body.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        channels = width
        for number, count in enumerate(layers, start=1):
            block = nn.Sequential()
            for index in range(1, count + 1):
                block.add_module(f"denselayer{index}", AppendingLayer(channels, growth, 4 * growth))
                channels += growth
            self.body.add_module(f"denseblock{number}", block)
            if number < len(layers):
                self.body.add_module(f"transition{number}", HalvingTransition(channels))
                channels //= 2
        self.body.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / 32, W / 32)."""
        return F.relu(self.body(normal), inplace=True)

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.classifier
