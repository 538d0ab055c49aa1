"""The values handed from room to room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from remission import mapped_tensors

Target = int | Literal["all-to-all"]
"""The class that triggered images are given, or the next class of each (y + 1 mod K)."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels.

    Args:
        images: (N, C, H, W), float in [0, 1], or uint8 in 0..255 (four times smaller). On the CPU
            they may lie in a mapped file, see :mod:`remission.mapped_tensors`.
        labels: (N,) int64 class indices, on the device where the model is. The images are there
            too, or on the CPU where an accelerator has no room for them: then batches are moved.
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
        """The images at ``index`` (a slice, indices, or a mask), with their labels.

        A slice shares the pixels; else they are copied, into a mapped file if they are large.
        """
        if isinstance(index, slice):
            return LabelledImages(self.images[index], self.labels[index])
        return LabelledImages(
            mapped_tensors.take(self.images, index), self.labels[index.to(self.labels.device)]
        )

    def floats(self, index: Tensor) -> Tensor:
        """(n, C, H, W) the images at ``index``, float in [0, 1], on the labels' device."""
        images = self.images[index.to(self.images.device)]
        return as_float(images.to(self.labels.device))

    def copy(self) -> LabelledImages:
        """Images and labels that may be changed; in a mapped file if they are large."""
        return LabelledImages(mapped_tensors.copy(self.images), self.labels.clone())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> Self:
        """The same images and labels on ``device``; images that it has no room for stay."""
        fits = mapped_tensors.fits(self.images, device)
        images = self.images.to(device) if fits else self.images
        return type(self)(images, self.labels.to(device))


def as_float(images: Tensor) -> Tensor:
    """uint8 images in 0..255 or float images in [0, 1] -> float images in [0, 1]."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def as_bytes(images: Tensor) -> Tensor:
    """Float images in [0, 1] -> uint8 in 0..255, rounded: how an image is kept in a file."""
    if images.dtype == torch.uint8:
        return images
    return images.mul(255).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set as it was published, before any split.

    Args:
        name: the name that a spec uses.
        train: the published training images, uint8.
        test: the published test images, uint8.
        classes: the names of the classes, in the order of their indices.
        mean: per channel, of the training images in [0, 1].
        std: per channel, of the training images in [0, 1].
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


@dataclass(frozen=True, kw_only=True)
class Split:
    """Four disjoint sets of images, one seed.

    Args:
        victim: what the attacker poisons and the victim (and the control) is trained on.
        defender: clean images that every purifier gets, and nothing else.
        attacker: what the retuning attack draws its clean and poisoned images from.
        test: never used to choose anything.
    """

    victim: LabelledImages
    defender: LabelledImages
    attacker: LabelledImages
    test: LabelledImages

    def to(self, device: torch.device | str) -> Split:
        """The same four sets on ``device``."""
        return Split(
            victim=self.victim.to(device),
            defender=self.defender.to(device),
            attacker=self.attacker.to(device),
            test=self.test.to(device),
        )
