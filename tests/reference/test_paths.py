"""The line between two models, interpolated by hand in float64."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from remission.paths import linear_path
from remission.training import evaluate
from remission.types import LabelledImages

from .toy import FEATURES, Slow, Toy, by_hand, corner, flat, moments, toy_data

TARGET = 2


def counted(slow: Slow, w: torch.Tensor, data: LabelledImages) -> tuple[int, int, int]:
    """Hits of clean accuracy, ASR and robust accuracy, image by image."""
    clean = asr = robust = 0
    on_clean = slow.logits(w, data.images, train=False).argmax(1).tolist()
    on_triggered = slow.logits(w, by_hand(data.images), train=False).argmax(1).tolist()
    for i, label in enumerate(data.labels.tolist()):
        clean += on_clean[i] == label
        if label != TARGET:
            asr += on_triggered[i] == TARGET
            robust += on_triggered[i] == label
    return clean, asr, robust


@pytest.mark.parametrize("policy", ["interpolated", "recalibrated"])
def test_every_position(policy: Literal["interpolated", "recalibrated"]) -> None:
    start, end = Toy(seed=0), Toy(seed=9)
    test, clean = toy_data(60, seed=3), toy_data(12, seed=4)
    found = linear_path(start, end, test, corner(), TARGET, points=9, batchnorm=policy, clean=clean)
    assert found.t == pytest.approx([i / 8 for i in range(9)], rel=1e-12)
    a, b, seen = Slow.like(start), Slow.like(end), set()
    for t, rates in zip(found.t, found.rates, strict=True):
        w = (1 - t) * flat(start) + t * flat(end)
        mean = (1 - t) * a.running_mean + t * b.running_mean
        var = (1 - t) * a.running_var + t * b.running_var
        slow = Slow(a.image_mean, a.image_std, mean, var)
        if policy == "recalibrated":
            z = slow.convolved(w, clean.images)
            mean, var = moments(z)
            count = z.numel() / FEATURES
            slow = Slow(a.image_mean, a.image_std, mean, var * count / (count - 1))
        wanted = counted(slow, w, test)
        assert (rates.clean_acc.hits, rates.asr.hits, rates.robust_acc.hits) == wanted
        others = int((test.labels != TARGET).sum())
        assert rates.clean_acc.total == 60
        assert rates.asr.total == rates.robust_acc.total == others
        seen.add(wanted)
    assert len(seen) > 2, "the rates change along the line"


def test_the_ends_are_the_two_models_exactly() -> None:
    start, end, test = Toy(seed=0), Toy(seed=9), toy_data(60, seed=3)
    found = linear_path(start, end, test, corner(), TARGET, points=4, batchnorm="interpolated")
    assert found.rates[0] == evaluate(start, test, corner(), TARGET)
    assert found.rates[-1] == evaluate(end, test, corner(), TARGET)
    assert found.rates[0] != found.rates[-1]


def test_the_models_stay_as_they_are() -> None:
    start, end, data = Toy(seed=0), Toy(seed=9).eval(), toy_data(12)
    linear_path(start, end, data, corner(), TARGET, points=3, clean=data)
    for model, seed in ((start, 0), (end, 9)):
        for key, value in Toy(seed=seed).state_dict().items():
            assert torch.equal(model.state_dict()[key], value), key
    assert (start.training, end.training) == (True, False)
    assert all(p.requires_grad for p in start.parameters())
