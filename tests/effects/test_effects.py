"""Each method has its effect, and its check fails for a method that does nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from remission.attacks.base import Attack, Setting
from remission.models import Classifier
from remission.paths import linear_path
from remission.reactivations import InputReactivation
from remission.registry import ATTACKS, INVERSIONS, PURIFIERS, REACTIVATIONS
from remission.training import Trained
from tests.effects.effects import EFFECTS, Check
from tests.effects.world import World
from tests.margins import above, below

TABLES: dict[str, dict[str, type[Any]]] = {
    "attack": dict(ATTACKS),
    "inversion": dict(INVERSIONS),
    "purifier": dict(PURIFIERS),
    "reactivation": dict(REACTIVATIONS),
}
METHODS = [f"{kind} {name}" for kind, table in TABLES.items() for name in table]
CHECKS = [
    pytest.param(name, check, id=f"{name}-{number}" if number else name)
    for name, checks in EFFECTS.items()
    for number, check in enumerate(checks)
]


def test_every_registered_method_has_a_check_of_its_effect() -> None:
    assert sorted(EFFECTS) == sorted(METHODS)
    assert all(EFFECTS.values())


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_effect(name: str, check: Check, world: World) -> None:
    del name
    check(world)


def as_it_came(self: object, model: Classifier, *args: object, **more: object) -> Classifier:
    """Returns a purifier or a reactivation that does nothing."""
    del self, args, more
    return model


IDLE: dict[str, tuple[str, Any]] = {
    "inversion": ("invert", lambda *args, **more: None),  # the generator stays untouched
    "purifier": ("purify", as_it_came),
    "reactivation": ("reactivate", as_it_came),
}
"""Kind -> the hook of its methods, and one that does nothing; an attack's is made for a world."""


def without_poison(world: World) -> Callable[[Attack, Setting], Trained]:
    """Returns an attack that leaves the control, which its trigger must not fool."""

    def train(self: Attack, setting: Setting) -> Trained:
        del self
        setting.model.load_state_dict(world.control.state_dict())
        return Trained(losses=[0.0])

    return train


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_the_check_fails_for_a_method_that_does_nothing(
    name: str, check: Check, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, key = name.split()
    hook, idle = IDLE.get(kind) or ("train", without_poison(world))
    if issubclass(TABLES[kind][key], InputReactivation):  # the perturbation stays as it was drawn
        hook, idle = "learn", lambda *args, **more: None
    monkeypatch.setattr(TABLES[kind][key], hook, idle)
    with pytest.raises(AssertionError):
        check(world)


def test_the_path_leads_from_the_victim_to_the_purified_model(world: World) -> None:
    victim, test = world.victim, world.split.test
    walk = linear_path(
        victim.model, world.exact, test, victim.trigger, victim.target, points=5,
        batchnorm="interpolated",
    )  # fmt: skip
    assert walk.rates[0] == world.rates(victim.model)
    assert walk.rates[-1] == world.rates(world.exact)
    asr = [rates.asr.value for rates in walk.rates]
    above(asr[0], 0.9)
    below(asr[-1], 0.1)
    fades = all(later <= earlier + 0.02 for earlier, later in itertools.pairwise(asr))
    assert fades, "from this victim the backdoor only fades, but for single images"
    still = linear_path(
        victim.model, victim.model, test, victim.trigger, victim.target, points=3, clean=world.clean
    )
    assert len(set(still.rates)) == 1, "between two equal models nothing changes"
