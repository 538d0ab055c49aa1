"""What an attack makes of clean images before it trains the victim."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remission import training
from remission.attacks import Attack, base
from remission.models import build_model
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages

CLASSES = 5


def drawn(
    shape: tuple[int, int, int], count: int, values: tuple[int, int] = (0, 256)
) -> LabelledImages:
    """Returns ``count`` random images of the classes in turn; ``values`` are from, and below."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(*values, (count, *shape), generator=generator).to(torch.uint8)
    return LabelledImages(images, torch.arange(count) % CLASSES)


def planted(
    attack: Attack, clean: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> tuple[LabelledImages, base.Victim]:
    """Returns the images that the victim is trained on, and the victim."""
    seen: list[LabelledImages] = []

    def listen(model: Any, data: LabelledImages, *more: Any, **options: Any) -> Any:  # noqa: ANN401
        seen.append(data)
        return training.fit(model, data, *more, **options)

    monkeypatch.setattr(base, "fit", listen)
    model = build_model(
        "resnet18:2",
        classes=CLASSES,
        shape=clean.shape,
        mean=(0.5,) * 3,
        std=(0.3,) * 3,
        seed=Seed(1),
    )
    victim = attack(model, clean, Recipe(epochs=1, lr=0.01), seed=Seed(3))
    (data,) = seen
    return data, victim
