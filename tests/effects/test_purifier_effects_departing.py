"""The assumption behind TSC, and rehearsals of the purifiers that go far from the victim."""

from __future__ import annotations

import copy
from statistics import fmean
from typing import Any

import pytest
import torch

from remission.metrics import Rates
from remission.models import channel_groups, permute
from remission.progress import cutting
from remission.purifiers import CleanPurifier, tsc
from remission.rehearsal import Rehearsal
from remission.training import match
from tests.effects.departing_effects import DETOXIFIED, DISTORTED, DRIVEN, WALKED, purified
from tests.effects.world import World
from tests.margins import above, below


@pytest.mark.parametrize("alike", [True, False])
def test_a_permuted_victim_is_the_victim(world: World, alike: bool) -> None:
    victim = world.victim.model
    groups, moved = channel_groups(victim), copy.deepcopy(victim)
    orders = match(victim, moved, groups, world.clean, alike=alike)
    permute(moved, groups, orders)
    test = world.split.test.floats(torch.arange(len(world.split.test)))
    with torch.no_grad():  # the sums over channels have another order
        torch.testing.assert_close(moved(test), victim(test), rtol=1e-3, atol=1e-3)
    stay = [float((order == torch.arange(len(order))).float().mean()) for order in orders]
    if alike:
        above(min(stay), 0.9, "dead channels alone may change places")
    else:
        below(max(stay), 0.3)


@pytest.mark.long
def test_it_is_the_order_of_channels_that_purifies(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same training on curves from the victim to itself leaves most of the backdoor.

    Each ASR is the mean of two runs: single ones of one victim differ by up to 0.6.
    """
    seeds = [world.seed.child("run", number) for number in range(2)]

    def runs() -> list[Rates]:
        models = (WALKED(world.victim.model, world.clean, seed=seed).model for seed in seeds)
        return [world.rates(model) for model in models]

    with_order = runs()
    monkeypatch.setattr(tsc, "permute", lambda *args: None)
    without = runs()
    gone, left = (fmean(each.asr.value for each in of) for of in (with_order, without))
    above(left, gone + 0.2, without, with_order)
    above(min(each.clean_acc.value for each in without), 0.8, without)


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
        above(rehearsal.seconds, 0)
