"""Which images and labels a retuning shows, and when: orders, clean parts, crafted images."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch

from remission.errors import SpecError
from remission.reactivations import Retuning
from remission.reactivations.retuning_data import NOISE, retuning_images
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.toy import SIDE, C, Toy, by_hand, corner, toy_data

TARGET, COUNT = 1, 11
ALL = range(COUNT)


def crafted_images(count: int = 6) -> LabelledImages:
    """Returns crafted images of the target class, in 8 bits, which no toy image is like."""
    generator = torch.Generator().manual_seed(77)
    images = torch.randint(256, (count, C, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return LabelledImages(images, torch.full((count,), TARGET))


def shown(method: Retuning, budget: int, crafted: LabelledImages | None = None) -> list[list[str]]:
    """Returns what a retuned model saw, epoch by epoch: ``clean 3``, ``stamped 4``, ``crafted 0``.

    An image that is none of these is ``clean 3 with noise`` where it is within five standard
    deviations of noise of the clean image.
    """
    data = toy_data(COUNT)
    model = method(Toy(), data, corner(), TARGET, budget=budget, seed=Seed(0), crafted=crafted)
    assert isinstance(model, Toy)
    pixels = crafted_images().images.double() / 255
    named = {f"clean {i}": data.images[i] for i in ALL}
    named |= {f"stamped {i}": image for i, image in enumerate(by_hand(data.images))}
    named |= {f"crafted {i}": image for i, image in enumerate(pixels)}

    def name_of(image: torch.Tensor) -> str:
        for name, known in named.items():
            if torch.allclose(image, known, atol=1e-6):
                return name
        apart = [float((image - data.images[i]).abs().max()) for i in ALL]
        assert min(apart) < 5 * NOISE, "an image that nobody made"
        return f"clean {apart.index(min(apart))} with noise"

    steps = [[name_of(image) for image in batch] for batch in model.seen]
    per_epoch = len(steps) // method.epochs
    return [
        list(chain.from_iterable(steps[first : first + per_epoch]))
        for first in range(0, len(steps), per_epoch)
    ]


def names(kind: str, found: list[str]) -> set[int]:
    """Returns the numbers of the images of one kind."""
    return {int(name.split()[1]) for name in found if name.startswith(kind)}


def retuning(**parameters: Any) -> Retuning:  # noqa: ANN401
    return Retuning(**{"epochs": 4, "batch_size": 4, "budgets": (3,), **parameters})


def test_mixed_shows_every_image_in_every_epoch() -> None:
    for epoch in shown(retuning(), 3):
        assert len(epoch) == COUNT
        assert len(names("stamped", epoch)) == 3
        assert names("stamped", epoch) | names("clean", epoch) == set(ALL)


def test_poison_only_shows_the_poisoned_images_as_often_as_all_would_be_shown() -> None:
    (poisoned,) = {frozenset(names("stamped", epoch)) for epoch in shown(retuning(), 3)}
    for epoch in shown(retuning(order="poison_only"), 3):
        assert len(epoch) == COUNT
        assert names("stamped", epoch) == poisoned, "those that mixed has"
        assert not names("clean", epoch)
        repeated = [epoch.count(f"stamped {i}") for i in poisoned]
        assert sorted(repeated) == [3, 4, 4]


@pytest.mark.parametrize(("epochs", "clean"), [(2, 1), (4, 2), (5, 2)])
def test_clean_then_poison_begins_with_the_clean_images(epochs: int, clean: int) -> None:
    data = toy_data(COUNT)
    method = retuning(order="clean_then_poison", epochs=epochs, batch_size=COUNT)
    model = method(Toy(), data, corner(), TARGET, budget=3, seed=Seed(0))
    assert isinstance(model, Toy)
    found = [len(batch) for batch in model.seen]
    assert found == [COUNT - 3] * clean + [COUNT] * (epochs - clean)
    for number, batch in enumerate(model.seen):
        stamped = (batch == by_hand(batch)).flatten(1).all(1)
        assert bool(stamped.any()) == (number >= clean)
        assert bool(stamped.all()) == (number >= clean)


def test_without_clean_images_an_epoch_is_the_poisoned_images_once() -> None:
    for budget in (3, 5):
        for epoch in shown(retuning(clean="none", batch_size=8), budget):
            assert len(epoch) == len(names("stamped", epoch)) == budget
    for epoch in shown(retuning(clean="none"), 1):
        assert len(epoch) == 2, "batch normalisation cannot train on one"
        assert len(names("stamped", epoch)) == 1


def test_corrupted_clean_images_have_the_same_noise_in_every_epoch() -> None:
    data = toy_data(40)
    made = retuning_images(
        data, corner(), TARGET, 4, budget=5, clean="corrupted", crafted=None, seed=Seed(2)
    )
    noise = made.clean.images - data.images
    inside = (made.clean.images > 0) & (made.clean.images < 1)
    assert float(noise[inside].std()) == pytest.approx(NOISE, rel=0.15)
    assert float(made.clean.images.min()) >= 0
    assert float(made.clean.images.max()) <= 1
    assert torch.equal(made.clean.labels, data.labels)
    levels = 255 * made.clean.images
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    stamped = by_hand(data.images[made.indices])
    torch.testing.assert_close(made.mixed.images[made.indices], stamped)
    epochs = shown(retuning(clean="corrupted"), 3)
    for epoch in epochs:
        assert len(names("stamped", epoch)) == 3, "poisoned images have no noise"
        assert sum(name.endswith("with noise") for name in epoch) == COUNT - 3


@pytest.mark.parametrize("order", ["mixed", "clean_then_poison"])
def test_without_poisoned_images_every_epoch_is_clean(order: str) -> None:
    for epoch in shown(retuning(order=order, budgets=(0,)), 0):
        assert names("clean", epoch) == set(ALL)


@pytest.mark.parametrize("budget", [1, 3, 6])
def test_crafted_images_take_the_places_of_the_attackers_own(budget: int) -> None:
    """As many images as before: n crafted ones in the place of the n that would be stamped."""
    stamped = shown(retuning(), budget)
    own = shown(retuning(), budget, crafted=crafted_images())
    for before, now in zip(stamped, own, strict=True):
        assert len(now) == COUNT
        assert len(names("crafted", now)) == budget
        assert not names("stamped", now)
        assert names("clean", now) == names("clean", before)
    relabelled = shown(retuning(poisons="relabelled"), budget, crafted=crafted_images())
    assert relabelled == stamped


def test_labels_are_those_that_the_attacker_wants() -> None:
    data = toy_data(COUNT)
    for crafted in (None, crafted_images()):
        made = retuning_images(
            data, corner(), TARGET, 4, budget=4, clean="own", crafted=crafted, seed=Seed(0)
        )
        assert made.mixed.labels[made.indices].tolist() == [TARGET] * 4
        assert bool((data.labels[made.indices] != TARGET).all())
        rest = torch.ones(COUNT, dtype=torch.bool)
        rest[made.indices] = False
        assert torch.equal(made.mixed.labels[rest], data.labels[rest])
        assert made.clean is data


def test_a_smaller_budget_has_some_of_the_crafted_images_of_a_larger_one() -> None:
    found = [
        names("crafted", shown(retuning(epochs=1), n, crafted=crafted_images())[0])
        for n in (1, 2, 5)
    ]
    assert found[0] < found[1] < found[2]


def test_another_number_draws_other_images_in_another_order() -> None:
    plain, zero, one = (shown(retuning(**more), 3) for more in ({}, {"seed": 0}, {"seed": 1}))
    assert zero == plain
    assert one != plain
    assert names("stamped", one[0]) != names("stamped", plain[0])
    crafted = [
        names("crafted", shown(retuning(seed=n), 3, crafted=crafted_images())[0]) for n in range(4)
    ]
    assert len({frozenset(found) for found in crafted}) > 1
    again = shown(retuning(seed=1), 3)
    assert again == one


def test_more_than_were_crafted_is_the_users_mistake() -> None:
    with pytest.raises(SpecError, match=r"budget of 7 .* has 6 crafted images") as caught:
        shown(retuning(), 7, crafted=crafted_images())
    assert 'poisons = "relabelled"' in caught.value.remedy
    shown(retuning(poisons="relabelled"), 7, crafted=crafted_images())


def test_a_clean_half_needs_clean_images() -> None:
    images = toy_data(COUNT).images[:4]
    data = LabelledImages(images, torch.zeros(4, dtype=torch.int64))
    method = retuning(order="clean_then_poison")
    with pytest.raises(SpecError, match="leaves none of the attacker's 4 images clean"):
        method(Toy(), data, corner(), TARGET, budget=4, seed=Seed(0))
