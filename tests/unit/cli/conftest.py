"""The small spec, and the small data set of the tests of ``data``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.data.conftest import cache, small
from tests.unit.grid.small import write_spec

__all__ = ["cache", "small", "spec"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The small spec as a file."""
    return write_spec(tmp_path)
