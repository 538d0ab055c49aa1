"""Several changes of images one after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remission.triggers import InSequence, Unchanged


class Halved(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images / 2


class Lifted(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + 0.25


def test_the_first_change_comes_first() -> None:
    images = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1)
    found = InSequence(Halved(), Lifted())(images)
    assert found.flatten().tolist() == [0.25, 0.5, 0.75]
    found = InSequence(Lifted(), Halved())(images)
    assert found.flatten().tolist() == [0.125, 0.375, 0.625]


def test_nothing_is_no_change() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Unchanged()(images), images)
    assert torch.equal(InSequence(Unchanged(), Unchanged())(images), images)
