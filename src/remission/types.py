"""The values that one part of the package hands to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from remission import mapped_tensors

Target = int | Literal["all-to-all"]
"""The class that triggered images shall get; all-to-all: the class after the true, y + 1 mod K."""
Shape = tuple[int, int, int]
"""(C, H, W) of an image: channels, height, width."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with their labels.

    Args:
        images: (N, C, H, W), float in [0, 1], or uint8 in 0..255 (a quarter of the size). On the
            CPU they may lie in a mapped file, see :mod:`remission.mapped_tensors`.
        labels: (N,) int64 class indices, on the model's device. The images lie there too, or on the
            CPU where an accelerator has no room for them; then single batches are moved.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.ndim == 4, f"images of shape {tuple(self.images.shape)}"
        assert self.labels.shape == self.images.shape[:1], "as many labels as images"
        assert self.labels.dtype == torch.int64, f"labels of type {self.labels.dtype}"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> LabelledImages:
        """Returns the images at ``index`` (a slice, indices or a mask) with their labels.

        A slice shares the pixels. Otherwise they are copied, into a mapped file if they are large.
        """
        if isinstance(index, slice):
            return LabelledImages(self.images[index], self.labels[index])
        return LabelledImages(
            mapped_tensors.take(self.images, index), self.labels[index.to(self.labels.device)]
        )

    def floats(self, index: Tensor) -> Tensor:
        """Returns the images at ``index``, (n, C, H, W) float in [0, 1], on the labels' device."""
        images = self.images[index.to(self.images.device)]
        return as_float(images.to(self.labels.device))

    def copy(self) -> LabelledImages:
        """Returns a copy that may be changed, in a mapped file if the images are large."""
        return LabelledImages(mapped_tensors.copy(self.images), self.labels.clone())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> Self:
        """Returns the same on ``device``; images that it has no room for stay where they are."""
        fits = mapped_tensors.fits(self.images, device)
        images = self.images.to(device) if fits else self.images
        return type(self)(images, self.labels.to(device))


def as_float(images: Tensor) -> Tensor:
    """uint8 images in 0..255, or float images in [0, 1] -> float images in [0, 1]."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def as_bytes(images: Tensor) -> Tensor:
    """Float images in [0, 1] -> uint8 images in 0..255, rounded, as they are in a file."""
    if images.dtype == torch.uint8:
        return images
    return images.mul(255).round_().clamp_(0, 255).to(torch.uint8)


def rounded(images: Tensor) -> Tensor:
    """Float images in [0, 1] -> the same in the 256 steps of a file, float in [0, 1]."""
    return as_float(as_bytes(images))


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set as it was published, before any split.

    Args:
        name: the name that a spec uses.
        train: the published training images, uint8.
        test: the published test images, uint8.
        classes: the names of the classes, in the order of their indices.
        mean: mean of the training images in [0, 1], one number per channel.
        std: standard deviation of the same, one number per channel.
        copies: (N,) int64, equal for training images that no split may part, since their pixels are
            equal; None where a split is free.
        notes: sentences that a user should read once: what of a folder was read and what was not.
    """

    name: str
    train: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    copies: Tensor | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Disjoint sets of images, drawn with one seed.

    Args:
        victim: the training images of victim and control; the victim's are poisoned.
        defender: the clean images that purifiers get.
        attacker: the images that reactivations get, from which they make poisoned ones too.
        validation: the images on which models are compared before a choice; None: there are none.
        test: the images on which models are measured; nothing is ever chosen by them.
    """

    victim: LabelledImages
    defender: LabelledImages
    attacker: LabelledImages
    test: LabelledImages
    validation: LabelledImages | None = None

    def to(self, device: torch.device | str) -> Split:
        """Returns the same sets on ``device``."""
        return Split(
            victim=self.victim.to(device),
            defender=self.defender.to(device),
            attacker=self.attacker.to(device),
            test=self.test.to(device),
            validation=self.validation.to(device) if self.validation else None,
        )
