"""Images in addition to the poisoned ones: drawn from the rest, refused before any training."""

from __future__ import annotations

import pytest
import torch

from remission.attacks import Bpp, InputAware, WaNet
from remission.attacks.base import Attack
from remission.attacks.marks import draw_decoys
from remission.errors import SpecError
from remission.seeding import Seed

LABELS = torch.arange(100) % 5


@pytest.mark.parametrize(
    ("enough", "too_many", "key"),
    [
        (WaNet(poison_rate=0.25, cross_ratio=3.0), WaNet(poison_rate=0.4), "cross_ratio 2.0"),
        (Bpp(poison_rate=0.5), Bpp(negative_ratio=9.5), "negative_ratio 9.5"),
        (InputAware(poison_rate=0.5), InputAware(poison_rate=0.6), "cross_ratio 1.0"),
    ],
)
def test_a_selection_without_room_for_decoys_is_refused(
    enough: Attack, too_many: Attack, key: str
) -> None:
    assert len(enough.select(LABELS, 5, Seed(0))) == round(100 * enough.poison_rate)
    with pytest.raises(SpecError, match=f"{key} means .* are not poisoned; use a smaller"):
        too_many.select(LABELS, 5, Seed(0))


def test_decoys_are_not_poisoned() -> None:
    chosen = torch.arange(0, 100, 4)
    decoys = draw_decoys(100, chosen, 3.0, "cross_ratio", Seed(0))
    assert sorted([*chosen.tolist(), *decoys.tolist()]) == list(range(100))
