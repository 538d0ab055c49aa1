"""DenseNet (Huang, Liu, van der Maaten, Weinberger, CVPR 2017), with the stem used on CIFAR.

The stem is one 3x3 convolution without pooling. Layers are named as in the common CIFAR
implementation (``conv1``, ``dense1.0.bn1``, ``dense1.0.conv1``, ``trans1.bn``, ``trans1.conv``,
..., ``bn``, ``linear``), and as there a layer puts its new channels before the old ones.
BackdoorBench's ``densenet161`` is torchvision's, with another stem and other names.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class DenseLayer(nn.Module):
    """A 1x1 and a 3x3 convolution; their few new channels are put before the input's channels."""

    def __init__(self, channels_in: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, growth + channels_in, h, w)."""
        out = self.conv1(F.relu(self.bn1(x), inplace=True))
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        return torch.cat([out, x], dim=1)


class Transition(nn.Module):
    """A 1x1 convolution to fewer channels and pooling to half the resolution, rounded up."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels_in)
        self.conv = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / 2, w / 2)."""
        out = self.conv(F.relu(self.bn(x), inplace=True))
        return F.avg_pool2d(out, 2, ceil_mode=True)


class DenseNet(Classifier):
    """A densely connected network with the 3x3 stem used on CIFAR.

    Args:
        layers: number of layers in each of the four dense blocks; (6, 12, 36, 24) is DenseNet-161.
        width: the growth rate k, the number of channels that each layer adds; 48 in DenseNet-161.
            The stem has 2 k channels.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, *, layers: tuple[int, int, int, int], width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        channels = 2 * width
        self.conv1 = nn.Conv2d(self.shape[0], channels, 3, padding=1, bias=False)
        for block, count in enumerate(layers, start=1):
            dense = [DenseLayer(channels + i * width, width) for i in range(count)]
            self.add_module(f"dense{block}", nn.Sequential(*dense))
            channels += count * width
            if block < len(layers):
                self.add_module(f"trans{block}", Transition(channels, channels // 2))
                channels //= 2
        self.blocks = len(layers)
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / 8, W / 8), rounded up; D = 46 width in DenseNet-161."""
        out: Tensor = self.conv1(normal)
        for block in range(1, self.blocks + 1):
            out = self.get_submodule(f"dense{block}")(out)
            if block < self.blocks:
                out = self.get_submodule(f"trans{block}")(out)
        return F.relu(self.bn(out), inplace=True)

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
