"""What holds for all tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Test processes run side by side: one thread each, so that they neither crowd nor differ."""
    torch.set_num_threads(1)
