"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018) and EfficientNet (Tan, Le, 2019).

Both are made of inverted residuals: a 1x1 convolution to many channels, a depthwise convolution, a
1x1 convolution to few channels. EfficientNet (ICML 2019) puts a gate for each channel between the
last two (squeeze and excitation, Hu, Shen, Sun, CVPR 2018) and has SiLU in place of ReLU6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


@dataclass(frozen=True)
class InvertedSize:
    """The sizes of an inverted residual.

    Args:
        hidden: number of channels of the depthwise convolution.
        channels: number of channels of the result.
        kernel: side of the depthwise convolution.
        stride: of the depthwise convolution.
        expands: whether a 1x1 convolution comes first.
        gate: number of channels inside the gate; 0: no gate.
    """

    hidden: int
    channels: int
    kernel: int
    stride: int
    expands: bool
    gate: int = 0


def normed(
    channels_in: int,
    channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    active: nn.Module | None = None,
) -> nn.Sequential:
    """A convolution without bias, batch normalisation, and an activation if there is one."""
    conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), *([active] if active else []))


class ChannelGate(nn.Module):
    """Multiplies each channel by a number in (0, 1) that depends on the means of all channels."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, inside, 1), nn.Conv2d(inside, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, D, h, w)."""
        gate = self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True))))
        gated: Tensor = x * gate.sigmoid()
        return gated


class InvertedResidual(nn.Module):
    """An inverted residual; the input is added where it has the shape of the result."""

    def __init__(self, channels_in: int, size: InvertedSize, active: type[nn.Module]) -> None:
        super().__init__()
        self.adds = size.stride == 1 and channels_in == size.channels
        layers = [normed(channels_in, size.hidden, active=active())] if size.expands else []
        self.block = nn.Sequential(*layers)
        depthwise = normed(
            size.hidden,
            size.hidden,
            size.kernel,
            size.stride,
            groups=size.hidden,
            active=active(),
        )
        self.block.append(depthwise)
        if size.gate:
            self.block.append(ChannelGate(size.hidden, size.gate))
        self.block.append(normed(size.hidden, size.channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / stride, w / stride)."""
        out: Tensor = self.block(x)
        return x + out if self.adds else out


class InvertedNet(Classifier):
    """A stem of stride 2, inverted residuals, a 1x1 convolution, one linear layer.

    Args:
        width: number of channels of the stem; 32 in MobileNetV2 and EfficientNet-B0.
        blocks: the sizes of the inverted residuals, in order.
        last: number of channels of the last map.
        active: the activation: ``nn.ReLU6`` in MobileNetV2, ``nn.SiLU`` in EfficientNet.
        eps: what the batch norms add to variances.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        width: int,
        blocks: Sequence[InvertedSize],
        last: int,
        active: type[nn.Module],
        eps: float = 1e-5,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.stem = normed(self.shape[0], width, 3, 2, active=active())
        layers, channels = [], width
        for size in blocks:
            layers.append(InvertedResidual(channels, size, active))
            channels = size.channels
        self.blocks = nn.Sequential(*layers)
        self.last = normed(channels, last, active=active())
        self.linear = nn.Linear(last, self.classes)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = eps

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, last, H / 32, W / 32), rounded up."""
        out: Tensor = self.last(self.blocks(self.stem(normal)))
        return out

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
