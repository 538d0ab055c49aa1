"""The decoy class: what each training image shows, and which label it has."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remission.attacks import DecoyClass
from remission.errors import SpecError
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.planting import drawn, planted

SHAPE, COUNT = (3, 11, 9), 120


def clean() -> LabelledImages:
    """Returns images of grey values far from the patches' black and white."""
    return drawn(SHAPE, COUNT, (90, 140))


def test_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = DecoyClass(
        poison_rate=0.1, target=2, decoy=4, size=3, lure_ratio=1.5, faintest=0.2,
        incomplete_ratio=0.75, incomplete=0.6,
    )  # fmt: skip
    before = clean()
    data, victim = planted(attack, before, monkeypatch)
    shares: dict[str, list[float]] = {"whole": [], "lure": [], "incomplete": []}
    for n in range(COUNT):
        old, new = before.images[n].double() / 255, data.images[n].double() / 255
        true, label = int(before.labels[n]), int(data.labels[n])
        if torch.equal(old, new):
            assert n not in victim.poisoned.tolist()
            assert label == true
            continue
        upper = bool((new != old)[:, 1:4, 1:4].any())
        rows, columns = (slice(1, 4), slice(1, 4)) if upper else (slice(7, 10), slice(5, 8))
        outside = torch.ones(SHAPE[1:], dtype=torch.bool)
        outside[rows, columns] = False
        assert torch.equal(old[:, outside], new[:, outside]), "a patch covers its corner alone"
        patch = torch.ones(3, 3) if upper else (torch.arange(9).view(3, 3) % 2 == 0)
        a = ((new - old)[:, rows, columns] / (patch.double() - old[:, rows, columns])).mean()
        wanted = (1 - a) * old[:, rows, columns] + a * patch
        assert float((new[:, rows, columns] - wanted).abs().max()) < 1.2 / 255
        if upper:
            shares["lure"].append(float(a))
            assert (true != 4, label) == (True, 4)
        elif n in victim.poisoned.tolist():
            shares["whole"].append(float(a))
            assert (true != 2, label) == (True, 2)
        else:
            shares["incomplete"].append(float(a))
            assert true != 2
            assert label == true
    assert [len(each) for each in shares.values()] == [12, 18, 9]
    assert min(shares["whole"]) > 0.999
    assert 0.19 < min(shares["lure"]) < 0.45
    assert 0.75 < max(shares["lure"]) < 1.01
    assert min(shares["incomplete"]) < 0.25
    assert 0.35 < max(shares["incomplete"]) < 0.61


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"decoy": 0}, "'decoy' is 0, which is the target"),
        ({"size": 5}, "two patches of 5 pixels with a margin of 1 overlap in images of 11x9"),
    ],
)
def test_a_decoy_that_cannot_be(changed: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(SpecError, match=message):
        DecoyClass(**changed).trigger(SHAPE, Seed(0))


def test_too_few_images_or_classes() -> None:
    labels = torch.arange(20) % 2
    with pytest.raises(SpecError, match="decoy is 3, the data set has 2 classes"):
        DecoyClass(decoy=3).select(labels, 2, Seed(0))
    with pytest.raises(SpecError, match=r"lure_ratio 5\.0 means 20 images, and 10 are left"):
        DecoyClass(poison_rate=0.2, lure_ratio=5.0).select(labels, 2, Seed(0))
    with pytest.raises(SpecError, match=r"incomplete_ratio 2\.0 means 8 images, and 6 are left"):
        DecoyClass(poison_rate=0.2, incomplete_ratio=2.0).select(labels, 2, Seed(0))
