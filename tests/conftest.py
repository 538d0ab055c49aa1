"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from remission.seeding import Seed
from tests.environment import SHIFT, THREADS


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """Test processes run side by side. Each has one thread, so that results do not differ."""
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="session", autouse=True)
def _first_weights() -> Iterator[None]:
    """Gives every network other first weights where ``REMISSION_TEST_SEED=N`` is set."""
    initialising = Seed.initialising

    @contextmanager
    def shifted(self: Seed) -> Iterator[None]:
        with initialising(Seed(self.root + SHIFT, self.names)):
            yield

    with pytest.MonkeyPatch.context() as patch:
        if SHIFT:
            patch.setattr(Seed, "initialising", shifted)
        yield


@pytest.fixture
def forgotten_methods() -> Iterator[None]:
    """Forgets the methods of a user's file, after a test that adds some."""
    from remission import registry, user_methods

    yield
    user_methods._used.clear()
    for methods in registry._own.values():
        methods.clear()
