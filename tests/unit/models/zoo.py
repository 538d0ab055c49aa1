"""The models at small widths, and their expected properties."""

from __future__ import annotations

from remission.models import Classifier, Precision, build_model
from remission.seeding import Seed

SMALL = {
    "densenet161": "densenet161:2",
    "preactresnet18": "preactresnet18:2",
    "resnet18": "resnet18:2",
    "resnet50": "resnet50:2",
    "swin_t": "swin_t:8",
    "vgg19_bn": "vgg19_bn:2",
    "vit_tiny": "vit_tiny:12",
}
"""Every model of the house -> the same at a tiny width."""

TRANSFORMERS = ("swin_t", "vit_tiny")


def built(
    arch: str,
    shape: tuple[int, int, int] = (3, 16, 16),
    classes: int = 5,
    seed: int = 0,
    precision: Precision = "fp32",
) -> Classifier:
    """Returns a model for images of ``shape``."""
    channels = shape[0]
    return build_model(
        arch,
        classes=classes,
        shape=shape,
        mean=(0.3, 0.4, 0.5)[:channels],
        std=(0.25, 0.2, 0.3)[:channels],
        seed=Seed(seed),
        precision=precision,
    )
