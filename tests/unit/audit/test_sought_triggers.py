"""A search that keeps what only the suspect model obeys."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from remission.audit.sought_triggers import Sought, other_classes, seek, seek_second
from remission.audit.tried_triggers import change_of
from remission.inversion import Voted
from remission.inversion.perturbations import size
from remission.models import Classifier
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import LabelledImages
from tests.unit.audit.stubs import Answering

SHAPE, CLASSES, TARGET = (1, 6, 6), 4, 2


class Watching(Answering):
    """Gives class 2 where one of some pixels is bright, else the class that the first column says.

    Args:
        pixels: (row, column) of each pixel that leads to class 2 -> how strongly it does.
    """

    def __init__(self, pixels: dict[tuple[int, int], float]) -> None:
        super().__init__(CLASSES, SHAPE)
        self.pixels = pixels

    def forward(self, images: Tensor) -> Tensor:
        logits = 8 * images[:, 0, :CLASSES, 0]
        for (row, column), gain in self.pixels.items():
            logits = logits + gain * images[:, 0, row, column, None] * F.one_hot(
                torch.tensor(TARGET), CLASSES
            )
        return logits


def images(count: int = 64) -> LabelledImages:
    labels = torch.arange(count) % CLASSES
    pixels = torch.zeros(count, *SHAPE)
    pixels[torch.arange(count), 0, labels, 0] = 1
    return LabelledImages(pixels, labels)


BACKDOOR, ANYBODYS = (4, 4), (1, 4)
SUSPECT = Watching({BACKDOOR: 30, ANYBODYS: 30})
"""Obeys a pixel that its purified copy obeys, too, and one that only it obeys."""
PURIFIED = Watching({ANYBODYS: 90})
INVERSION = Voted(steps=120, batch_size=8)


def test_the_class_with_a_shortcut_leads() -> None:
    sought = seek(SUSPECT, images(), TARGET, [0, 1, 3], INVERSION, Seed(0))
    assert sought.lead > 1.3
    assert sought.classes.tolist() == [TARGET, 0, 1, 3]
    assert len(sought.theta) == 4
    one = seek(SUSPECT, images(), TARGET, [0], INVERSION, Seed(0), families=("warp",))
    assert one.family == "warp"


@pytest.mark.parametrize("family", ["additive", "patch"])
def test_what_the_purified_model_obeys_too_is_dropped(family: str) -> None:
    sought = seek(
        SUSPECT, images(), TARGET, [0, 1], INVERSION, Seed(0),
        families=("patch",) if family == "patch" else ("additive",),
    )  # fmt: skip
    before = change_of(sought.family, sought.theta[0], SHAPE, 4)
    second = seek_second(sought, SUSPECT, PURIFIED, images(), steps=250, reach=0.9, seed=Seed(1))
    after = change_of(sought.family, second.theta[0], SHAPE, 4)
    assert obeys(SUSPECT, before) > 0.8
    assert obeys(PURIFIED, before) > 0.8, "what leads any model there is easiest to find"
    assert obeys(SUSPECT, after) > 0.8
    assert obeys(PURIFIED, after) < 0.1


def obeys(model: Classifier, change: Trigger) -> float:
    """Returns the share of images of other classes that get class 2."""
    others = images().labels != TARGET
    return float((model(change(images().images)).argmax(1)[others] == TARGET).float().mean())


def test_one_step_follows_the_formula() -> None:
    """The gradient of the formula, written out for one class in float64, gives the same step."""
    torch.manual_seed(0)
    theta = 0.3 * torch.rand(1, *SHAPE)
    sought = Sought(family="additive", classes=torch.tensor([TARGET]), theta=theta, lead=1.0)
    data = images(4)
    data = LabelledImages(0.2 + 0.5 * data.images, data.labels)  # no pixel is clipped
    second = seek_second(sought, SUSPECT, PURIFIED, data, steps=2, reach=0.9, seed=Seed(5))
    index = torch.randint(4, (160,), generator=Seed(5).generator())
    slow = theta[0].double().requires_grad_(True)
    total = torch.zeros((), dtype=torch.float64)
    others = [i for i in index.tolist() if int(data.labels[i]) != TARGET]
    for i in others:
        shown = data.images[i].double()[None] + slow
        total = total - SUSPECT(shown).log_softmax(1)[0, TARGET] / len(others)
        total = total - PURIFIED(shown).log_softmax(1)[0, data.labels[i]] / len(others)
    total = total + (slow.square().mean() + 1e-12).sqrt()
    (gradient,) = torch.autograd.grad(total, slow)
    moved = second.theta[0] - theta[0]
    torch.testing.assert_close(
        moved, -0.02 * gradient.float().sign(), atol=2e-4, rtol=0
    )  # the first step of Adam


def test_other_classes_are_never_suspected_ones() -> None:
    for number in range(20):
        others = other_classes([1, 4], 6, Seed(number))
        assert len(others) == 2
        assert not {1, 4} & set(others)
    assert other_classes([0], 2, Seed(0)) == [1]
    assert other_classes([0, 1], 2, Seed(0)) == []


def test_size_is_what_the_search_makes_small() -> None:
    sought = seek(SUSPECT, images(), TARGET, [0], INVERSION, Seed(0), families=("patch",))
    assert float(size(sought.theta, "patch")[0]) < 0.2
    assert obeys(SUSPECT, change_of("patch", sought.theta[0], SHAPE, 4)) > 0.8
