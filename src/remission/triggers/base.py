"""The base class of all triggers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Trigger(nn.Module, ABC):
    """A map from images to triggered images; its parameters and buffers are stored by key."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images in [0, 1] -> the same images with the trigger, in [0, 1]."""
        return self.stamp(images).clamp(0, 1)

    @abstractmethod
    def stamp(self, images: Tensor) -> Tensor:
        """Applies the map itself; values may leave [0, 1], since they are clipped afterwards."""
