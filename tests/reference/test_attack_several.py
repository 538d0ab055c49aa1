"""Several backdoors: which images get which trigger, and that measuring changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remission.attacks import SIG, BadNets, Blended, SeveralBackdoors, WaNet, base
from remission.errors import SpecError
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import LabelledImages, as_bytes, as_float
from tests.reference.planting import drawn, planted

SHAPE, COUNT = (3, 14, 13), 80


def clean() -> LabelledImages:
    return drawn(SHAPE, COUNT)


def own_triggers() -> dict[str, Trigger]:
    """Returns the triggers of the four attacks themselves, drawn from the same seeds."""
    attacks: dict[str, base.Attack] = {
        "badnets": BadNets(size=2), "blended": Blended(alpha=0.3), "sig": SIG(delta=40.0),
        "wanet": WaNet(s=1.5),
    }  # fmt: skip
    seed = Seed(3).child("trigger")
    return {kind: attack.trigger(SHAPE, seed.child(kind)) for kind, attack in attacks.items()}


ALL = SeveralBackdoors(
    poison_rate=0.1, measured="wanet", target=4, beside=("sig", "badnets", "blended"),
    beside_targets=(1, 0, 3), size=2, alpha=0.3, s=1.5, delta=40.0,
)  # fmt: skip


def test_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    data, victim = planted(ALL, clean(), monkeypatch)
    before, triggers = clean(), own_triggers()
    targets = {"wanet": 4, "sig": 1, "badnets": 0, "blended": 3}
    images_of: dict[str, list[int]] = {kind: [] for kind in targets}
    for n in range(COUNT):
        if torch.equal(data.images[n], before.images[n]):
            assert data.labels[n] == before.labels[n]
            continue
        x = as_float(before.images[n : n + 1])
        shown = {kind: as_bytes(trigger(x))[0] for kind, trigger in triggers.items()}
        (kind,) = [kind for kind in targets if torch.equal(shown[kind], data.images[n])]
        images_of[kind].append(n)
        assert int(before.labels[n]) != targets[kind]
        assert int(data.labels[n]) == targets[kind]
    assert {len(images) for images in images_of.values()} == {8}
    assert images_of["wanet"] == victim.poisoned.tolist()
    assert victim.target == 4
    x = as_float(before.images)
    torch.testing.assert_close(victim.trigger(x), triggers["wanet"](x))


def test_whichever_is_measured_the_victim_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SeveralBackdoors(
        poison_rate=0.1, measured="badnets", target=0, beside=("blended", "wanet", "sig"),
        beside_targets=(3, 4, 1), size=2, alpha=0.3, s=1.5, delta=40.0,
    )  # fmt: skip
    (data, victim), (same, also) = (
        planted(attack, clean(), monkeypatch) for attack in (ALL, other)
    )
    assert torch.equal(data.images, same.images)
    assert torch.equal(data.labels, same.labels)
    for ours, theirs in zip(victim.model.parameters(), also.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert victim.target != also.target
    assert not set(victim.poisoned.tolist()) & set(also.poisoned.tolist())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beside_targets": (3,)}, "'beside' lists 2 backdoors, 'beside_targets' 1 classes"),
        ({"beside": ("blended", "badnets")}, "listed twice in badnets, blended, badnets"),
        ({"beside_targets": (3, 0)}, "two backdoors have one target in 0, 3, 0"),
        ({"size": 40}, "a patch of 40 pixels"),
    ],
)
def test_lists_that_do_not_fit_are_the_users_mistake(changed: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(SpecError, match=message):
        SeveralBackdoors(**changed).trigger(SHAPE, Seed(0))


def test_images_and_classes_that_there_are_not() -> None:
    labels = torch.arange(100) % 10
    with pytest.raises(SpecError, match="'beside_targets' has 12, the data set has 10 classes"):
        SeveralBackdoors(beside_targets=(3, 12)).select(labels, 10, Seed(0))
    with pytest.raises(SpecError, match="means 40 of 100 images for each of 3 backdoors") as error:
        SeveralBackdoors(poison_rate=0.4).select(labels, 10, Seed(0))
    assert error.value.remedy == "use a rate from 0.01 to 0.3"
    assert len(SeveralBackdoors(poison_rate=0.3).select(labels, 10, Seed(0))) == 30, (
        "the remedy helps"
    )
