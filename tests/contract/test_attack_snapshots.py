"""A victim whose training was killed goes on bit for bit, whatever its attack changes besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from remission.attacks import Victim
from remission.models import build_model
from remission.progress import listening
from remission.seeding import Seed
from remission.training.snapshots import keeping
from tests.contract.cases import Case
from tests.contract.test_attacks import RECIPE, attack_of, every_attack, some_images
from tests.unit.training.test_snapshots import Memory, PowerCutError

CLASSES = 4
THREE_EPOCHS = replace(RECIPE, epochs=3)


class Counting(Memory):
    """Counts the snapshots that a training went on from, and notes of which trainings there are."""

    def __init__(self, every: int = 1, kept: dict[str, dict[str, Tensor]] | None = None) -> None:
        super().__init__(every, dict(kept or {}))
        self.found, self.saved = 0, list[str]()

    def load(self, name: str) -> Mapping[str, Tensor] | None:
        tensors = super().load(name)
        self.found += tensors is not None
        return tensors

    def save(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().save(name, tensors)
        self.saved.append(name)


def implanted(case: Case) -> Victim:
    model = build_model(
        "resnet18:2", classes=CLASSES, shape=(1, 28, 28), mean=(0.5,), std=(0.3,), seed=Seed(1)
    )
    return attack_of(case, CLASSES)(
        model, some_images((1, 28, 28), CLASSES), THREE_EPOCHS, seed=Seed(4)
    )


def state(victim: Victim) -> dict[str, Tensor]:
    modules = {"model": victim.model, "trigger": victim.trigger}
    return {f"{n}.{k}": v for n, module in modules.items() for k, v in module.state_dict().items()}


@pytest.mark.long
@every_attack
def test_a_victim_goes_on_where_it_was_killed(case: Case) -> None:
    steps = dict[str, int]()

    def count(what: str, done: int, total: int) -> None:
        del done
        steps[what] = total

    watched = Counting()
    with keeping(watched), listening(count):
        whole = implanted(case)
    trainings = {name.partition(" ")[2]: name for name in reversed(watched.saved)}
    assert "victim" in trainings
    for what, name in trainings.items():
        memory = Memory()
        with keeping(memory), pytest.raises(PowerCutError):
            cut_in(what, steps[what] // 2 + 1, case)
        assert list(memory.kept) == [name]
        second = Counting(10**6, memory.kept)
        with keeping(second):
            resumed = implanted(case)
        assert second.found == 1, what
        assert resumed.trained.losses == whole.trained.losses, what
        for key, value in state(whole).items():
            assert torch.equal(state(resumed)[key], value), (what, key)


def cut_in(what: str, step: int, case: Case) -> None:
    """Raises PowerCutError at a step of the first training of that name."""

    def cut(each: str, done: int, total: int) -> None:
        del total
        if (each, done) == (what, step):
            raise PowerCutError

    with listening(cut):
        implanted(case)
