"""A finished store and its spec."""

from __future__ import annotations

from pathlib import Path

import pytest
from grid.small import finished_store, write_spec


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the whole small grid, only to be read."""
    return finished_store(tmp_path_factory)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The small spec as a file."""
    return write_spec(tmp_path)
