"""A finished store, to be read or to be copied, and a clock."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from remission import rehearsal
from tests.unit.clock import Clock
from tests.unit.grid.small import finished_store


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a store with the whole small grid, which tests only read."""
    return finished_store(tmp_path_factory)


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    """Returns a copy of the finished store."""
    return Path(shutil.copytree(finished, tmp_path / "store"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(rehearsal, "time", stopped)
    return stopped
