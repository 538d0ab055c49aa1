from __future__ import annotations

import pytest
import torch

from .world import World, make_world

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()
