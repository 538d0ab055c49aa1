"""Perturbations of images, by at most epsilon per pixel: one for all images, or one for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from remission.models import in_channels_last
from remission.seeding import Seed
from remission.triggers import UNet
from remission.types import Shape


class Perturbation(nn.Module, ABC):
    """x' = clip(x + delta(x)) with ``|delta(x)| <= epsilon`` for every pixel.

    Args:
        epsilon: the largest change of a pixel, in [0, 1].
    """

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images in [0, 1] -> perturbed images."""
        delta = self.delta(images).clamp(-self.epsilon, self.epsilon)
        return (images + delta).clamp(0, 1)

    @abstractmethod
    def delta(self, images: Tensor) -> Tensor:
        """Returns what is added before clipping, broadcastable to (N, C, H, W)."""


class UniversalPerturbation(Perturbation):
    """One pattern for all images; it starts uniform in [-epsilon, epsilon].

    Args:
        shape: (C, H, W) of the images.
        epsilon: the largest change of a pixel, in [0, 1].
        seed: the source of the first pattern.
    """

    def __init__(self, shape: Shape, epsilon: float, seed: Seed) -> None:
        super().__init__(epsilon)
        drawn = torch.rand(shape, generator=seed.generator())
        self.pattern = nn.Parameter(epsilon * (2 * drawn - 1))

    def delta(self, images: Tensor) -> Tensor:
        """Returns the pattern, (C, H, W)."""
        del images
        return self.pattern

    @torch.no_grad()
    def project(self) -> None:
        """Clips the pattern to [-epsilon, epsilon]."""
        self.pattern.clamp_(-self.epsilon, self.epsilon)


class Generator(Perturbation):
    """delta(x) = epsilon * tanh(G(x)).

    Args:
        shape: (C, H, W) of the images.
        epsilon: the largest change of a pixel, in [0, 1].
        kind: the network G. ``"mlp"``: three hidden layers over all pixels, with ReLU, as in the
            paper of QRA; ``"conv"``: a U-Net of two levels.
        width: units of a hidden layer, or channels of the U-Net's first level.
        seed: the source of the first weights.
    """

    def __init__(
        self, shape: Shape, epsilon: float, kind: Literal["mlp", "conv"], width: int, seed: Seed
    ) -> None:
        super().__init__(epsilon)
        pixels = shape[0] * shape[1] * shape[2]
        with seed.initialising():
            self.network: nn.Module
            if kind == "conv":
                self.network = in_channels_last(UNet(shape[0], width, levels=2))
            else:
                hidden: list[nn.Module] = [nn.Linear(pixels, width), nn.ReLU()]
                for _ in range(2):
                    hidden += [nn.Linear(width, width), nn.ReLU()]
                self.network = nn.Sequential(*hidden, nn.Linear(width, pixels))

    def delta(self, images: Tensor) -> Tensor:
        """Returns epsilon * tanh(G(x)) for each image, (N, C, H, W)."""
        if isinstance(self.network, UNet):
            return self.epsilon * self.network.rewrite(images).tanh()
        raw: Tensor = self.network(images.flatten(1))
        return self.epsilon * raw.tanh().view_as(images)
