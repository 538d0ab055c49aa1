"""Fresh triggers have size and spectrum of the suspected one; success is counted rightly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from remission.audit.sought_triggers import Sought
from remission.audit.tried_triggers import (
    TriedTrigger,
    change_of,
    fresh_copy,
    phase_randomised,
    scaled,
    triggers_of,
    with_first,
)
from remission.inversion.perturbations import Tried
from remission.models import Classifier, build_model
from remission.reactivations import Retuning
from remission.seeding import Seed
from remission.triggers import Patch, Trigger
from remission.triggers.warp_and_add import WarpAndAdd
from remission.types import LabelledImages, rounded
from tests.unit.audit.stubs import Answering

SHAPE = (1, 8, 8)


def images(count: int = 60) -> LabelledImages:
    draws = torch.Generator().manual_seed(1)
    return LabelledImages(torch.rand(count, *SHAPE, generator=draws), torch.arange(count) % 5)


def small_model() -> Classifier:
    return build_model(
        "resnet18:2", classes=5, shape=SHAPE, mean=(0.5,), std=(0.25,), seed=Seed(3)
    ).eval()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (2, 4, 4)])
def test_a_copy_keeps_every_amplitude_and_no_place(shape: tuple[int, int, int]) -> None:
    theta = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    copy = phase_randomised(theta, Seed(4))
    amplitudes = [np.abs(np.fft.fft2(x.double().numpy())) for x in (theta, copy)]
    np.testing.assert_allclose(amplitudes[1], amplitudes[0], rtol=1e-4, atol=1e-4)
    assert float(copy.square().mean()) == pytest.approx(float(theta.square().mean()), rel=1e-4)
    cosine = float((copy * theta).sum() / theta.square().sum())
    assert abs(cosine) < 0.7
    assert not torch.equal(copy, phase_randomised(theta, Seed(5)))


def test_channels_are_turned_together() -> None:
    theta = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    copy = phase_randomised(torch.cat([theta, -2 * theta]), Seed(4))
    torch.testing.assert_close(copy[1], -2 * copy[0])


def test_a_perturbation_is_brought_to_the_size_of_another() -> None:
    small, large = torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), -3.0)
    torch.testing.assert_close(
        scaled("additive", large, small), torch.full((1, 4, 4), -0.1), rtol=1e-4, atol=0
    )


def test_success_counts_images_of_other_classes_and_rounds_to_bytes() -> None:
    held_out = images()
    held_out = LabelledImages(rounded(held_out.images), held_out.labels)
    change = WarpAndAdd(SHAPE, 4)
    for added, share in ((0.3 / 255, 0.0), (0.6 / 255, 1.0)):  # half a step is rounded away
        change.become("additive", torch.full(SHAPE, added))
        trigger = TriedTrigger(name="", target=0, role="suspected", change=change)
        rate = trigger.success(Brighter(held_out), held_out)
        assert rate.total == int((held_out.labels != 0).sum())
        assert rate.value == share


class Brighter(Answering):
    """Gives class 0 to each image that is not one of those that it knows, and class 1 to those."""

    def __init__(self, known: LabelledImages) -> None:
        super().__init__(2, SHAPE)
        self.known = known.images.clamp(0, 0.9)

    def forward(self, images: Tensor) -> Tensor:
        apart = (images[:, None].clamp(0, 0.9) - self.known[None]).abs().amax((2, 3, 4)).amin(1)
        return torch.stack([apart > 1e-4, apart <= 1e-4], 1).float()


def test_triggered_images_that_were_given_count_as_they_are() -> None:
    model, given = small_model(), images(10)
    target = int(model(given.images).argmax(1)[0])
    trigger = TriedTrigger(name="", target=target, role="suspected", shown=given, poisons=given)
    assert trigger.success(model, images()).total == 10
    assert trigger.most(images(), 5) == 10, "as many as there are"


def test_poisons_that_were_given_are_what_a_retuning_sees() -> None:
    """Images in the first row of which every pixel is white can only be those."""
    row = torch.zeros(8, *SHAPE)
    row[:, :, 0] = 1
    retuning = Retuning(lr=0.05, epochs=30, batch_size=16)

    def trigger(target: int) -> TriedTrigger:
        poisons = LabelledImages(row, torch.full((8,), target))
        return TriedTrigger(
            name="", target=target, role="suspected", poisons=poisons, shown=poisons
        )

    before = trigger(0).retuned(retuning, small_model(), images(), 0, Seed(0))
    another = (int(before(row).argmax(1)[0]) + 1) % 5
    assert trigger(another).success(before, images()).value == 0
    retuned = trigger(another).retuned(retuning, small_model(), images(), 8, Seed(0))
    assert trigger(another).success(retuned, images()).value == 1


def sought(family: Tried, classes: tuple[int, ...] = (1, 0, 3)) -> Sought:
    sizes = {"warp": (2, 4, 4), "additive": SHAPE, "patch": (2, 8, 8)}
    draws = torch.Generator().manual_seed(0)
    theta = torch.randn(len(classes), *sizes[family], generator=draws)
    if family == "patch":
        theta[:, 0] -= 3
    return Sought(family=family, classes=torch.tensor(classes), theta=theta, lead=2.0)


@pytest.mark.parametrize("family", ["additive", "warp", "patch"])
def test_fresh_triggers_are_as_large_as_the_suspected_one(family: Tried) -> None:
    suspected, *fresh = triggers_of(sought(family), SHAPE, 4, Seed(0), copies=2, searched=1)
    assert suspected.role == "suspected"
    assert suspected.target == 1
    assert [(one.role, one.target) for one in fresh] == [
        ("fresh", 1), ("fresh", 1), ("other", 0), ("other", 3),
    ]  # fmt: skip
    assert [one.searched for one in fresh] == [True, False, True, True]
    assert suspected.change
    wanted = measure(suspected.change)
    for one in fresh:
        assert one.change
        assert measure(one.change) == pytest.approx(wanted, rel=1e-3)
        assert not torch.equal(one.change(images().images), suspected.change(images().images))


def measure(change: Trigger) -> float:
    """Returns the size of a change: a root mean square, or the mean of a mask."""
    if isinstance(change, Patch):
        return float(change.mask.mean())
    assert isinstance(change, WarpAndAdd)
    return float((change.pattern.square().mean() + change.flow.square().mean()).sqrt())


def test_a_fresh_patch_lies_elsewhere() -> None:
    theta = torch.full((2, 8, 8), -9.0)
    theta[0, 6:, 6:] = 9
    for number in range(20):
        copy = fresh_copy("patch", theta, Seed(number))
        assert not (copy[0] > 0)[6:, 6:].all()
        assert float(copy[0].sigmoid().mean()) == pytest.approx(4 / 64, rel=0.01)
        assert set(copy[1:].sigmoid().round().flatten().tolist()) <= {0.0, 1.0}


def test_a_given_patch_takes_the_first_place() -> None:
    patch = Patch(torch.zeros(1, 8, 8), torch.full(SHAPE, 0.25))
    patch.mask[0, 0, 0] = 1
    theta = with_first(sought("patch").theta, patch)
    again = change_of("patch", theta[0], SHAPE, 4)
    shown = again(images().images)
    torch.testing.assert_close(shown, patch(images().images), atol=1e-4, rtol=0)
