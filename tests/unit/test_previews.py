"""The test images behind the pictures and the stealth of a trigger."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from remission.previews import shown
from remission.types import LabelledImages, Target
from tests.unit.grid.small import by_label


def by_class(classes: int = 4, each: int = 30) -> LabelledImages:
    labels = torch.arange(classes).repeat_interleave(each)
    return LabelledImages(torch.zeros(len(labels), 1, 2, 2), labels)


@pytest.mark.parametrize(("target", "classes"), [(1, {0, 2, 3}), ("all-to-all", {0, 1, 2, 3})])
def test_images_that_lie_class_by_class_are_all_represented(
    target: Target, classes: set[int]
) -> None:
    test = by_class()
    chosen = shown(test, target, 4, 8)
    assert len(chosen) == len(set(chosen.tolist())) == 8
    assert set(test.labels[chosen].tolist()) == classes


def test_all_of_few_images_are_taken() -> None:
    assert shown(by_class(2, 3), 0, 2, 8).tolist() == [3, 4, 5]


def test_a_victims_record_says_how_visible_its_trigger_is(finished: Path) -> None:
    victim = by_label(finished)["badnets/seed0/victim"]
    assert victim.cell
    found = victim.details["stealth"]
    assert found["images"] == victim.cell.n_triggered
    # a 2 x 2 patch of black and white changes at most 4 of 64 pixels, each by at most 1
    assert found["psnr"] > 12.04
    assert 0 < found["ssim"] < 1
    assert 0.5 < found["largest_change"] <= 1
    assert 0 <= found["unchanged"] < found["images"]
