"""ResNet for small images (He, Zhang, Ren, Sun, CVPR 2016), with the stem used on CIFAR.

The stem is one 3x3 convolution without pooling. Layers are named as in the common CIFAR
implementation, which the paper's code uses too (``conv1``, ``bn1``, ``layer1.0.conv1``,
``layer2.0.shortcut.0``, ..., ``linear``). BackdoorBench's ``resnet18`` is torchvision's, with
another stem and other names.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier
from remission.models.pointwise import PointwiseConv


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    """Makes an identity where the shapes agree, else a 1x1 convolution with batch norm."""
    if stride == 1 and channels_in == channels:
        return nn.Sequential()
    return nn.Sequential(PointwiseConv(channels_in, channels, stride), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = _shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x), inplace=True)


class Bottleneck(nn.Module):
    """A 1x1 convolution to few channels, a 3x3, a 1x1 to four times as many; and a shortcut."""

    expansion: ClassVar[int] = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        out = self.expansion * channels
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.shortcut = _shortcut(channels_in, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, 4 channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.shortcut(x), inplace=True)


class ResNet(Classifier):
    """A residual network with the 3x3 stem used on CIFAR.

    Args:
        blocks: number of blocks in each of the four stages; (2, 2, 2, 2) is ResNet-18, and
            (3, 4, 6, 3) with bottlenecks is ResNet-50.
        width: number of base channels, 64 in the paper; stages have width x 1, 2, 4, 8.
        block: the class of the blocks; the output of a bottleneck is four times as wide.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        blocks: tuple[int, int, int, int],
        width: int,
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.conv1 = nn.Conv2d(self.shape[0], width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            layers = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(block(channels, width * 2**stage, stride))
                channels = width * 2**stage * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.linear = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width expansion, H / 8, W / 8)."""
        out = F.relu(self.bn1(self.conv1(normal)), inplace=True)
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return out

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
