"""Which retuning is the worst, what is left out, and what can be compared."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from remission.audit import depth as module
from remission.audit.depth import Depth, _some
from remission.audit.tried_triggers import TriedTrigger
from remission.errors import DivergedError
from remission.intervals import Rate
from remission.models import Classifier, build_model
from remission.reactivations import Retuning
from remission.seeding import Seed
from remission.triggers import Unchanged
from remission.types import LabelledImages
from tests.unit.audit.stubs import Answering

SHAPE = (1, 8, 8)
Found = tuple[Rate, Rate]


class Zero(Answering):
    """Gives every image the class 0."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0, 0, 0, 0]]).expand(len(images), 5)


def images(count: int = 100) -> LabelledImages:
    return LabelledImages(torch.zeros(count, *SHAPE), torch.arange(count) % 5)


def measured(found: Mapping[Retuning, Found | None]) -> Depth:
    """Returns measurements of a model with a clean accuracy of 0.9, whose retunings are known."""

    class Known(Depth):
        def __init__(self) -> None:
            self.start = self.model = self.settled = Zero(5, SHAPE)
            self.images = self.held_out = images()
            self.clean_acc, self.seed, self.quick = Rate(90, 100), Seed(0), False

        def retuned(self, retuning: Retuning, trigger: TriedTrigger, budget: int) -> Found | None:
            del trigger
            assert budget == 20
            return found[retuning]

    return Known()


def trigger(target: int = 0) -> TriedTrigger:
    return TriedTrigger(name="", target=target, role="suspected", change=Unchanged())


GRID = {"first": Retuning(), "second": Retuning(lr=0.5), "third": Retuning(epochs=7)}


@pytest.fixture(autouse=True)
def _grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRID", GRID)


def rates(success: int, clean_acc: int) -> Found:
    return Rate(success, 100), Rate(clean_acc, 100)


def test_the_worst_retuning_costs_at_most_three_points() -> None:
    first, second, third = GRID.values()
    found = {first: rates(20, 90), second: rates(80, 86), third: rates(60, 88)}
    worst = measured(found).worst(trigger(), {})
    assert worst is not None
    assert (worst.setting, worst.success, worst.clean_acc) == (
        "third",
        Rate(60, 100),
        Rate(88, 100),
    )
    assert (worst.budget, worst.tried) == (20, 3)


def test_a_retuning_that_diverged_is_none() -> None:
    first, second, third = GRID.values()
    worst = measured({first: None, second: rates(30, 90), third: None}).worst(trigger(), {})
    assert worst is not None
    assert worst.setting == "second"
    assert measured(dict.fromkeys(GRID.values())).worst(trigger(), {}) is None
    assert measured(dict.fromkeys(GRID.values(), rates(99, 86))).worst(trigger(), {}) is None


def test_the_papers_retuning_is_not_computed_twice() -> None:
    first, second, third = GRID.values()
    found = {second: rates(30, 90), third: rates(20, 90)}
    worst = measured(found).worst(trigger(), {20: rates(70, 90), 5: rates(99, 90)})
    assert worst is not None
    assert (worst.setting, worst.success) == ("first", Rate(70, 100))
    assert first not in found


def test_the_most_successful_of_some_triggers_on_the_model_as_it_is() -> None:
    made = measured({})
    assert made.highest([trigger(1), trigger(0), trigger(2)]) == Rate(80, 80)
    assert made.highest([trigger(1)]).value == 0


def test_a_retuning_that_diverges_is_told_from_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = measured({})

    def diverge(*_: object) -> None:
        raise DivergedError("the loss is nan")

    monkeypatch.setattr(TriedTrigger, "retuned", diverge)
    assert Depth.retuned(made, Retuning(), trigger(), 5) is None
    assert Depth.retuned(made, Retuning(), trigger(), 0) == (Rate(80, 80), Rate(20, 100))


def models(*archs: str) -> list[Classifier]:
    return [
        build_model(arch, classes=5, shape=SHAPE, mean=(0.5,), std=(0.5,), seed=Seed(0)).eval()
        for arch in archs
    ]


def test_models_with_other_weights_have_no_line() -> None:
    made = measured({})
    made.start, made.model = models("resnet18:2", "resnet18:4")
    assert not made.comparable
    assert made.lines(trigger()) == ()
    assert made.distance() is None


def test_the_line_between_two_models_of_the_same_weights() -> None:
    made = measured({})
    made.start, made.model = models("resnet18:4", "resnet18:4")
    assert made.distance() == 0
    lines = made.lines(trigger())
    assert [line.batchnorm for line in lines] == ["interpolated", "recalibrated"]
    made.quick = True
    assert [line.batchnorm for line in made.lines(trigger())] == ["recalibrated"]


def test_a_retuning_gets_a_stratified_part_of_many_images() -> None:
    some = _some(images(2000), Seed(0))
    assert len(some) == 500
    assert torch.bincount(some.labels).tolist() == [100] * 5
    assert len(_some(images(500), Seed(0))) == 500
