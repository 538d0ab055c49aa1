"""Which classes stand out, and how many images a trigger sends there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from remission.audit.suspicion import arriving, standing_out
from remission.intervals import Rate
from remission.inversion import Inverted
from remission.models import Classifier
from remission.types import LabelledImages
from tests.unit.audit.stubs import Answering


def inverted(
    target: int | None,
    candidates: tuple[int, ...],
    pair_vote: float | None = None,
    vote: float | None = None,
) -> Inverted:
    return Inverted(
        generator=nn.Identity(),
        target=target,
        target_share=1.0,
        change=0.1,
        candidates=candidates,
        pair_vote=pair_vote,
        vote=vote,
    )


@pytest.mark.parametrize(
    ("found", "classes"),
    [
        (inverted(4, ()), (4,)),
        (inverted(4, (), vote=3.0), (4,)),
        (inverted(1, (), vote=0.3), ()),  # of two classes one is always named
        (inverted(None, (2, 7), 1.0), ()),
        (inverted(None, (2, 7)), ()),
        (inverted(None, (2, 7), 3.0), (2, 7)),
    ],
)
def test_a_named_class_stands_out_and_so_do_two_that_hide_each_other(
    found: Inverted, classes: tuple[int, ...]
) -> None:
    assert standing_out(found, 3.0) == classes


class Brightest(Answering):
    """Gives an image the class that its first pixel says."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot((10 * images[:, 0, 0, 0]).round().long(), self.classes).float()


@pytest.fixture
def reader() -> Classifier:
    return Brightest(3, (1, 2, 2))


def labelled(*pixels: int) -> LabelledImages:
    images = torch.zeros(len(pixels), 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor(pixels) / 10
    return LabelledImages(images, torch.tensor(pixels))


class Up(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        changed = images.clone()
        changed[:, 0, 0, 0] = (changed[:, 0, 0, 0] + 0.1).clamp(max=0.2)
        return changed


def test_only_images_of_other_classes_count(reader: Classifier) -> None:
    assert arriving(reader, labelled(0, 0, 1, 2), Up(), (1,)) == Rate(2, 3)
    assert arriving(reader, labelled(0, 0, 1, 2), Up(), (1, 2)) == Rate(2, 2)


def test_where_every_class_is_suspected_leaving_ones_own_counts(reader: Classifier) -> None:
    assert arriving(reader, labelled(1, 2), Up(), (1, 2)) == Rate(1, 2)
