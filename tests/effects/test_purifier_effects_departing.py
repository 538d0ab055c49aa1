"""What TSC rests upon, and that each of the purifiers that go far away can be rehearsed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from remission.grid.dry_run.rehearsal import Rehearsal
from remission.models import channel_groups, permute
from remission.progress import cutting
from remission.purifiers import CleanPurifier, tsc
from remission.training import match
from tests.effects.departing_effects import DETOXIFIED, DISTORTED, DRIVEN, WALKED, purified
from tests.effects.world import World


@pytest.mark.parametrize("alike", [True, False])
def test_a_permuted_victim_is_the_victim(world: World, alike: bool) -> None:
    victim = world.victim.model
    groups, moved = channel_groups(victim), copy.deepcopy(victim)
    orders = match(victim, moved, groups, world.clean, alike=alike)
    permute(moved, groups, orders)
    assert world.rates(moved) == world.rates(victim)
    stay = [float((order == torch.arange(len(order))).float().mean()) for order in orders]
    if alike:
        assert min(stay) > 0.9, "dead channels alone may change places"
    else:
        assert max(stay) < 0.3


def test_it_is_the_order_of_channels_that_purifies(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same trainings on curves from the victim to itself leave the backdoor where it is."""
    monkeypatch.setattr(tsc, "permute", lambda *args: None)
    rates = world.rates(purified(world, WALKED))
    assert rates.asr.value > 0.7, rates
    assert rates.clean_acc.value > 0.9, rates


@pytest.mark.parametrize(
    "method", [DETOXIFIED, DISTORTED, DRIVEN, WALKED], ids=lambda method: method.name
)
def test_a_rehearsal_leaves_a_model(world: World, method: CleanPurifier) -> None:
    """Loops end early, or do not even begin."""
    known: dict[str, float] = {}
    for _ in range(2):
        rehearsal = Rehearsal(known, patience=0.0, images=8)
        with cutting(rehearsal):
            model = purified(world, method)
        values: list[Any] = list(model.state_dict().values())
        assert all(bool(torch.isfinite(value).all()) for value in values)
        assert rehearsal.seconds > 0
