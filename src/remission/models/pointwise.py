"""A strided 1x1 convolution that does not corrupt memory."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """``nn.Conv2d(channels_in, channels, 1, stride, bias=False)``, without a strided kernel.

    Pixels are left out before the convolution, which gives the same values and has the same keys.
    On CPUs with AVX-512, torch writes the gradient of a strided 1x1 convolution of less than 16
    channels in channels-last memory past the end of a buffer (AVX2: less than 8;
    uxlfoundation/oneDNN#6035). Without a stride it does not.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__(channels_in, channels, 1, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, channels, h / stride, w / stride), rounded up."""
        down, across = self.stride
        return F.conv2d(input[:, :, ::down, ::across], self.weight)
