"""Families of architectures, each with the names that its tensors have in some package."""

from __future__ import annotations

from remission.recognise.families import (
    convnext,
    dense,
    inverted,
    residual,
    swin,
    vgg,
    vit,
)
from remission.recognise.families.reading import ArchFamily

FAMILIES: tuple[ArchFamily, ...] = (
    *residual.FAMILIES,
    *vgg.FAMILIES,
    *dense.FAMILIES,
    *vit.FAMILIES,
    *swin.FAMILIES,
    *inverted.FAMILIES,
    *convnext.FAMILIES,
)
