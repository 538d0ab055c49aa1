"""VGG with batch normalisation (Simonyan, Zisserman, ICLR 2015), with the head used on CIFAR.

The head is global average pooling and one linear layer. Published weights of the common CIFAR
implementation load by key (``features.0``, ``features.1``, ..., ``classifier``), although the
convolutions lie in ``layers`` here, since ``features`` is a method of every classifier.
BackdoorBench's ``vgg19_bn`` is torchvision's: the same ``features``, another head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from remission.models.classifier import Classifier


class VGG(Classifier):
    """Stages of 3x3 convolutions with batch normalisation, each followed by max pooling.

    Pooling rounds up, so that every image has a pixel left after all five stages.

    Args:
        convolutions: their number in each of the five stages; (2, 2, 4, 4, 4) is VGG-19.
        width: channels of the first stage, 64 in the paper; stages have width x 1, 2, 4, 8, 8.
        common: the arguments of :class:`Classifier`.
    """

    published: ClassVar[Mapping[str, str]] = {"features.": "layers."}

    def __init__(self, *, convolutions: tuple[int, ...], width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        layers: list[nn.Module] = []
        channels = self.shape[0]
        for stage, count in enumerate(convolutions):
            out = width * 2 ** min(stage, 3)
            for _ in range(count):
                layers += [
                    nn.Conv2d(channels, out, 3, padding=1),
                    nn.BatchNorm2d(out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, self.classes)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 8 width, H / 32, W / 32), rounded up."""
        out: Tensor = self.layers(normal)
        return out

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.classifier
