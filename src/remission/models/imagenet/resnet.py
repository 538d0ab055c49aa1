"""ResNet (He, Zhang, Ren, Sun, CVPR 2016) with the published stem, or with a changed one."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.resnet import ResNet

Stem = Literal["7x7", "3x3", "3x3 with pooling"]
"""7x7: a 7x7 convolution of stride 2, then 3x3 max pooling of stride 2, as published. 3x3: one 3x3
convolution of stride 1. 3x3 with pooling: this convolution, then the published pooling."""


class ImageNetResNet(ResNet):
    """A residual network whose stem may lower the resolution to a quarter.

    Args:
        stem: see :data:`Stem`.
        common: the arguments of :class:`ResNet`.
    """

    def __init__(self, *, stem: Stem, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.pools = stem != "3x3"
        if stem == "7x7":
            channels, width = self.conv1.in_channels, self.conv1.out_channels
            self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width expansion, h, w); h = H / 32 with the published stem."""
        out = F.relu(self.bn1(self.conv1(normal)), inplace=True)
        if self.pools:
            out = F.max_pool2d(out, 3, 2, 1)
        for stage in range(1, 5):
            out = self.get_submodule(f"layer{stage}")(out)
        return out
