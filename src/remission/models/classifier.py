"""The base class of all models: from images in [0, 1] to logits, with normalisation inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from remission.models.source import WeightSource

M = TypeVar("M", bound=nn.Module)
Precision = Literal["fp32", "bf16"]
ChannelOrder = Literal["rgb", "bgr"]


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Returns a context of bf16 autocast on ``device``; for fp32 a context that does nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def in_channels_last(module: M) -> M:
    """Puts the convolution weights of ``module`` into channels-last memory; returns ``module``.

    Its activations are then channels-last too. With one input channel torch takes both formats for
    contiguous, and a convolution chooses channels-last only by explicit strides; so weights are
    copied instead of made ``contiguous``.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4:
            strided = torch.empty_like(parameter, memory_format=torch.channels_last)
            parameter.data = strided.copy_(parameter.data).detach()
    return module


class Classifier(nn.Module, ABC):
    """An image classifier made of a feature extractor and a head.

    Args:
        arch: the name by which it was built, for example ``resnet18:16``.
        classes: number of classes K.
        shape: (C, H, W) of the images.
        mean: one number per channel, in [0, 1], that the model subtracts.
        std: one number per channel by which the model then divides.

    Mean and std are buffers that stay out of the state dict. So it has only the keys of the layers,
    and published weights load by key.
    """

    mean: Tensor
    std: Tensor
    precision: Precision = "fp32"
    """The precision of the forward pass; weights, gradients and logits are always fp32."""
    channel_order: ChannelOrder = "rgb"
    """The order of the channels that the layers expect; images have theirs red first."""
    range_per_image: bool = False
    """Whether each image is first stretched so that its values reach from 0 to 1."""
    channels_last: bool = True
    """Whether images are put into channels-last memory, as the weights are."""
    by_name: bool = True
    """Whether :func:`build_model` builds such a model by its ``arch``."""
    source: WeightSource | None = None
    """The state dict that the weights were read from, if it was somebody else's."""
    published: ClassVar[Mapping[str, str]] = {}
    """Beginning of keys in published weights -> their beginning in this model, if it is another."""

    def __init__(
        self,
        *,
        arch: str,
        classes: int,
        shape: tuple[int, int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        assert len(mean) == len(std) == shape[0], "one mean and one std per channel"
        self.arch, self.classes, self.shape = arch, classes, shape
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images in [0, 1] -> (N, K) logits."""
        return self.classify(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images x in [0, 1] -> the last feature map h(x), (N, D, h, w)."""
        with autocast(self.precision, images.device):
            normal = (self.prepared(images) - self.mean) / self.std
            if self.channels_last:
                normal = normal.contiguous(memory_format=torch.channels_last)
            return self.feature_map(normal)

    def prepared(self, images: Tensor) -> Tensor:
        """Brings images to the order of channels and the range that the layers expect."""
        if self.channel_order == "bgr":
            images = images.flip(1)
        if self.range_per_image:
            least, most = (f(images, (1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
            images = (images - least) / (most - least).clamp_min(1 / 255)
        return images

    def classify(self, features: Tensor) -> Tensor:
        """The last feature map (N, D, h, w) -> (N, K) logits."""
        # in bf16 the two largest logits may be equal, and argmax would prefer the lower class
        return self.head(features.float() if features.dtype == torch.bfloat16 else features)

    @abstractmethod
    def feature_map(self, normal: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> the last feature map (N, D, h, w)."""

    def head(self, features: Tensor) -> Tensor:
        """(N, D, h, w) -> (N, K) logits: global average pooling, then the last linear layer."""
        logits: Tensor = self.final_linear(features.mean((2, 3)))
        return logits

    @property
    @abstractmethod
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""

    def own_key(self, key: str) -> str:
        """Returns the key in this model's state dict for a published key, or for its own key."""
        for theirs, own in self.published.items():
            if key.startswith(theirs) and not key.startswith(own):
                return own + key.removeprefix(theirs)
        return key
