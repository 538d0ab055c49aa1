"""Adaptive-Blend against its formula, image by image and pixel by pixel."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remission.attacks import AdaptiveBlend, poisoning
from remission.errors import SpecError
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.planting import CLASSES, drawn, planted

SHAPE, COUNT = (3, 11, 9), 60


def clean() -> LabelledImages:
    return drawn(SHAPE, COUNT)


@pytest.mark.parametrize(
    ("grid", "masked", "conservatism", "target"),
    [(4, 0.5, 0.5, 0), (3, 0.2, 0.4, 2), (2, 0.0, 1.0, "all-to-all"), (9, 0.9, 0.7, 4)],
)
def test_what_is_planted(
    grid: int,
    masked: float,
    conservatism: float,
    target: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attack = AdaptiveBlend(
        poison_rate=0.2, grid=grid, masked=masked, conservatism=conservatism, target=target,
        planted_alpha=0.3,
    )  # fmt: skip
    data, victim = planted(attack, clean(), monkeypatch)
    before, payload = clean(), set(victim.poisoned.tolist())
    pattern: Any = victim.trigger.get_buffer("pattern").double()
    assert len(payload) == 12

    regularisation, shown_pieces = 0, []
    for n in range(COUNT):
        old, new = before.images[n].double() / 255, data.images[n].double() / 255
        true = int(before.labels[n])
        wanted = (true + 1) % CLASSES if target == "all-to-all" else target
        assert int(data.labels[n]) == (wanted if n in payload else true)
        if torch.equal(before.images[n], data.images[n]):
            assert n not in payload
            continue
        assert true != wanted
        regularisation += n not in payload
        shown = set()
        for i in range(SHAPE[1]):
            for j in range(SHAPE[2]):
                piece = (i * grid // SHAPE[1], j * grid // SHAPE[2])
                blended = 0.7 * old[:, i, j] + 0.3 * pattern[:, i, j]
                if bool(((new[:, i, j] - blended).abs() <= 0.51 / 255).all()):
                    shown.add(piece)
        for i in range(SHAPE[1]):
            for j in range(SHAPE[2]):
                if (i * grid // SHAPE[1], j * grid // SHAPE[2]) not in shown:
                    assert torch.equal(new[:, i, j], old[:, i, j]), "a masked piece is untouched"
        shown_pieces.append(shown)
    assert regularisation == round(12 * (1 - conservatism) / conservatism)
    assert len(shown_pieces) == 12 + regularisation
    kept = grid * grid - round(masked * grid * grid)
    assert {len(shown) for shown in shown_pieces} == {kept}
    if masked:
        assert len({frozenset(shown) for shown in shown_pieces}) > 5, "each image has its own"


def test_every_piece_is_masked_about_as_often() -> None:
    attack = AdaptiveBlend()
    masks = attack.masks(attack.pieces(2000, Seed(0)), (1, 8, 8))
    assert masks.shape == (2000, 1, 8, 8)
    often = masks.mean(0)  # 0.5 +- 0.011
    assert 0.45 < float(often.min()) <= float(often.max()) < 0.55


def test_the_trigger_is_whole_and_stronger() -> None:
    x = torch.rand(4, 3, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    trigger = AdaptiveBlend(alpha=0.25, planted_alpha=0.1).trigger((3, 9, 7), Seed(0))
    pattern = trigger.get_buffer("pattern").double()
    for n in range(4):
        wanted = 0.75 * x[n] + 0.25 * pattern
        torch.testing.assert_close(trigger(x)[n], wanted, rtol=0, atol=1e-7)


def test_too_many_regularisation_images_are_the_users_mistake() -> None:
    attack = AdaptiveBlend(poison_rate=0.3, conservatism=0.2)
    with pytest.raises(SpecError, match=r"conservatism 0.2 asks for 24 images beside 6 poisoned"):
        attack.select(torch.arange(20) % 2, 2, Seed(0))


def test_planting_takes_no_more_memory_the_more_images_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    floats = LabelledImages.floats

    def listen(self: LabelledImages, index: torch.Tensor) -> torch.Tensor:
        asked.append(len(index))
        return floats(self, index)

    monkeypatch.setattr(LabelledImages, "floats", listen)
    whole, _ = planted(AdaptiveBlend(poison_rate=0.2), clean(), monkeypatch)
    assert asked == [24]
    asked.clear()
    monkeypatch.setattr(poisoning, "_CHANGED_AT_ONCE", 5)
    in_parts, _ = planted(AdaptiveBlend(poison_rate=0.2), clean(), monkeypatch)
    assert asked == [5, 5, 5, 5, 4]
    assert torch.equal(whole.images, in_parts.images)
