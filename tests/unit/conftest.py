"""A finished store, to be read or to be copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.grid.small import finished_store


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the whole small grid, only to be read."""
    return finished_store(tmp_path_factory)


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished store."""
    return Path(shutil.copytree(finished, tmp_path / "store"))
