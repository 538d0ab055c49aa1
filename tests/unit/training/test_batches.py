"""Batches: every image once, crops as if all images were padded, on the model's device."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from remission.seeding import Seed
from remission.training import batches
from remission.training.batches import Augment, share_of
from remission.types import LabelledImages


def data(count: int = 23, shape: tuple[int, int, int] = (2, 9, 12)) -> LabelledImages:
    generator = Seed(0).generator()
    images = torch.randint(256, (count, *shape), generator=generator, dtype=torch.uint8)
    return LabelledImages(images, torch.arange(count))


def augmented(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """Returns all images of an epoch, cropped and flipped one by one in the order of draws."""
    count, _, height, width = images.shape
    torch.randperm(count, generator=generator)
    padded = F.pad(images, (max(1, width // 8),) * 2 + (max(1, height // 8),) * 2)
    tops = torch.randint(2 * max(1, height // 8) + 1, (count,), generator=generator)
    lefts = torch.randint(2 * max(1, width // 8) + 1, (count,), generator=generator)
    flips = torch.rand(count, generator=generator) < (0.5 if augment == "crop_flip" else 0.0)
    found = []
    for image, top, left, flip in zip(padded, tops, lefts, flips, strict=True):
        crop = image[:, top : top + height, left : left + width]
        found.append(crop.flip(-1) if flip else crop)
    return torch.stack(found)


@pytest.mark.parametrize("augment", ["crop", "crop_flip"])
def test_crops_are_those_of_the_padded_images(augment: Augment) -> None:
    every = data()
    wanted = augmented(every.images, augment, Seed(3).generator()).float() / 255
    assert not torch.equal(wanted, every.images.float() / 255)
    seen = []
    for images, labels in batches(every, 5, generator=Seed(3).generator(), augment=augment):
        assert torch.equal(images, wanted[labels])
        seen += labels.tolist()
    assert sorted(seen) == list(range(23))


def test_only_some_images_in_their_order() -> None:
    every, only = data(), torch.tensor([7, 3, 20, 3])
    found = list(batches(every, 3, generator=None, only=only))
    assert [labels.tolist() for _, labels in found] == [[7, 3, 20], [3]]
    assert torch.equal(torch.cat([images for images, _ in found]), every.images[only].float() / 255)
    shuffled = batches(every, 3, generator=Seed(1).generator(), augment="crop", only=only[:3])
    assert sorted(label for _, labels in shuffled for label in labels.tolist()) == [3, 7, 20]


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_images_that_stayed_on_the_cpu_are_moved_batch_by_batch(augment: Augment) -> None:
    """The device "meta" has shapes and no values: what is computed on it cannot use the CPU."""
    every = data()
    apart = LabelledImages(every.images, every.labels.to("meta"))
    for images, labels in batches(apart, 5, generator=Seed(3).generator(), augment=augment):
        assert images.device.type == labels.device.type == "meta"
        assert len(images) == len(labels)
    assert apart.floats(torch.tensor([1, 2])).device.type == "meta"
    assert apart[torch.tensor([1, 2])].images.device.type == "cpu"


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.2, 20), (10, 0.26, 3), (100, 0.001, 1), (3, 1.0, 3)]
)
def test_a_share_of_images_is_rounded_and_never_empty(
    count: int, share: float, expected: int
) -> None:
    assert share_of(count, share) == expected
