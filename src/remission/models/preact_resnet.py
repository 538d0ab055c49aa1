"""Pre-activation ResNet (He, Zhang, Ren, Sun, ECCV 2016), with the stem used on CIFAR.

Batch normalisation and ReLU come before each convolution. As in BackdoorBench's ``preactresnet18``,
neither follows the last block, and layers have the same names (``conv1``, ``layer1.0.bn1``,
``layer1.0.conv1``, ``layer2.0.shortcut.0``, ..., ``linear``).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier
from remission.models.pointwise import PointwiseConv


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch normalisation and ReLU, and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut.append(PointwiseConv(channels_in, channels, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(x), inplace=True)
        shortcut = self.shortcut(out) if len(self.shortcut) else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        total: Tensor = out + shortcut
        return total


class PreActResNet(Classifier):
    """A residual network of pre-activation blocks with the 3x3 stem used on CIFAR.

    Args:
        blocks: number of blocks in each of the four stages; (2, 2, 2, 2) is PreAct-ResNet-18.
        width: number of base channels, 64 in the paper; stages have width x 1, 2, 4, 8.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, *, blocks: tuple[int, int, int, int], width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.conv1 = nn.Conv2d(self.shape[0], width, 3, 1, 1, bias=False)
        channels = width
        for stage, count in enumerate(blocks):
            out, layers = width * 2**stage, []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(PreActBlock(channels, out, stride))
                channels = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.linear = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width, H / 8, W / 8)."""
        out: Tensor = self.conv1(normal)
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return out

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
