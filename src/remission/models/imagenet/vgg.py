"""VGG (Simonyan, Zisserman, ICLR 2015) with the published head of several linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class ImageNetVGG(Classifier):
    """Stages of 3x3 convolutions, each followed by max pooling that rounds down.

    Args:
        convolutions: number of convolutions in each stage; (2, 2, 4, 4, 4) is VGG-19.
        widths: number of channels of each convolution.
        norm: whether batch normalisation follows each convolution.
        side: the last map is averaged to this height and width; 7 as published.
        hidden: outputs of each linear layer but the last; (4096, 4096) as published.
        indices: the indices of the linear layers in ``classifier``; (0, 3, 6) in torchvision.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        convolutions: Sequence[int],
        widths: Sequence[int],
        norm: bool,
        side: int,
        hidden: Sequence[int],
        indices: Sequence[int],
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.side, layers = side, list[nn.Module]()
        channels, following = self.shape[0], iter(widths)
        for count in convolutions:
            for _ in range(count):
                out = next(following)
                layers.append(nn.Conv2d(channels, out, 3, padding=1))
                layers += [nn.BatchNorm2d(out)] if norm else []
                layers.append(nn.ReLU(inplace=True))
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        inputs, outputs = channels * side**2, [*hidden, self.classes]
        linear = dict[str, nn.Module]()
        for index, out in zip(indices, outputs, strict=True):
            linear[str(index)] = nn.Linear(inputs, out)
            inputs = out
        self.classifier = nn.ModuleDict(linear)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / 32, W / 32), rounded down."""
        out: Tensor = self.layers(normal)
        return out

    def head(self, features: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, K) logits: average to side x side, linear layers with ReLU."""
        out = F.adaptive_avg_pool2d(features, self.side).flatten(1)
        *inner, last = self.classifier.values()
        for layer in inner:
            out = F.relu(layer(out))
        logits: Tensor = last(out)
        return logits

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        *_, last = self.classifier.values()
        assert isinstance(last, nn.Linear)
        return last
