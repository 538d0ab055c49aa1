"""Claims of the inversions beyond naming the class of a victim."""

from __future__ import annotations

import pytest

from remission.inversion import Voted
from tests.effects.world import World

pytestmark = pytest.mark.long


def test_voted_names_no_class_where_nobody_attacked(world: World) -> None:
    found = Voted(starts=4, margin_steps=40)(world.control, world.clean, seed=world.seed)
    assert found.target is None, found
