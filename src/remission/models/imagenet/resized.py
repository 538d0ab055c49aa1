"""A classifier that first brings images to the size that its network takes."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from remission.models.classifier import Classifier


class Resized(Classifier):
    """A network of a fixed size of images, behind a bilinear resize.

    Args:
        net: a classifier for images of its own ``shape``; its mean and std are not used.
        common: the arguments of :class:`Classifier`, with the shape of the images before resizing.
    """

    def __init__(self, net: Classifier, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.net = net

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> the feature map of the network for the resized images."""
        size = self.net.shape[1:]
        # smoothed where the image becomes smaller, as torchvision's Resize does
        resized = F.interpolate(
            normal,
            size=size,
            mode="bilinear",
            antialias=any(map(int.__gt__, normal.shape[2:], size)),
        )
        return self.net.feature_map(resized)

    def head(self, features: Tensor) -> Tensor:
        """The network's own head."""
        return self.net.head(features)

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.net.final_linear
