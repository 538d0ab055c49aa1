"""A clock that counts forward passes."""

from __future__ import annotations

import pytest
import torch

from remission.models import Classifier
from tests.unit.clock import Clock


@pytest.fixture
def passes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Returns a clock on which a forward pass of a classifier takes a second, all else none."""
    features = Classifier.features

    def counted(self: Classifier, images: torch.Tensor) -> torch.Tensor:
        clock.now += 1
        return features(self, images)

    monkeypatch.setattr(Classifier, "features", counted)
    return clock
