"""A finished store, computed once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.grid.small import finished_store


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a store with the whole small grid, which tests only read."""
    return finished_store(tmp_path_factory)


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    """Returns a copy of the finished store."""
    return Path(shutil.copytree(finished, tmp_path / "store"))
