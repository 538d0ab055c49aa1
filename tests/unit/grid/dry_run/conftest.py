"""A clock that counts steps instead of seconds."""

from __future__ import annotations

import pytest
import torch

from remission.grid.dry_run import rehearsal
from remission.models import Classifier


class Clock:
    """A clock that moves only when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(rehearsal, "time", stopped)
    return stopped


@pytest.fixture
def passes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Returns a clock on which a forward pass of a classifier takes a second, all else none."""
    features = Classifier.features

    def counted(self: Classifier, images: torch.Tensor) -> torch.Tensor:
        clock.now += 1
        return features(self, images)

    monkeypatch.setattr(Classifier, "features", counted)
    return clock
