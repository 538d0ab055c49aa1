"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from remission.seeding import Seed
from tests.environment import SHIFT, THREADS


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """Test processes run side by side: one thread each, so that they neither crowd nor differ."""
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="session", autouse=True)
def _first_weights() -> Iterator[None]:
    """With ``REMISSION_TEST_SEED=N`` every network begins with other first weights."""
    initialising = Seed.initialising

    @contextmanager
    def shifted(self: Seed) -> Iterator[None]:
        with initialising(Seed(self.root + SHIFT, self.names)):
            yield

    with pytest.MonkeyPatch.context() as patch:
        if SHIFT:
            patch.setattr(Seed, "initialising", shifted)
        yield
