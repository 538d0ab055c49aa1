"""ResNet for small images (He, Zhang, Ren, Sun, CVPR 2016), with the stem used on CIFAR.

The stem is one 3x3 convolution without pooling. Layers are named as in BackdoorBench's models
(``conv1``, ``bn1``, ``layer1.0.conv1``, ..., ``linear``).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x), inplace=True)


class ResNet(Classifier):
    """A ResNet of basic blocks.

    Args:
        blocks: number of blocks in each of the four stages; (2, 2, 2, 2) is ResNet-18.
        width: base channels; 64 in the paper, stages have width x 1, 2, 4, 8.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, *, blocks: tuple[int, int, int, int], width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.conv1 = nn.Conv2d(self.shape[0], width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            out, layers = width * 2**stage, []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(channels, out, stride))
                channels = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.linear = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width, H / 8, W / 8)."""
        out = F.relu(self.bn1(self.conv1(normal)), inplace=True)
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return out

    def head(self, features: Tensor) -> Tensor:
        """Global average pooling, then the linear layer."""
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
