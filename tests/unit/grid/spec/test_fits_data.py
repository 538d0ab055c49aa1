"""The check whether a data set fits a spec reads its labels and copies no image."""

from __future__ import annotations

import tomllib

import pytest
import torch

from remission import mapped_tensors
from remission.data import load_dataset, split_dataset
from remission.data.split import split_indices
from remission.grid.spec import parse_spec
from remission.grid.spec.fits_data import check_against
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.unit.grid.small import SPEC


def test_no_image_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_dataset("digits")
    spec = parse_spec(tomllib.loads(SPEC.replace("seeds = [0]", "seeds = [0, 1, 2]")))

    def copies(*_: object) -> None:
        raise AssertionError("an image is copied")

    monkeypatch.setattr(mapped_tensors, "take", copies)
    monkeypatch.setattr(LabelledImages, "__getitem__", copies)
    monkeypatch.setattr(LabelledImages, "floats", copies)
    check_against(spec, dataset)


@pytest.mark.parametrize("sizes", [{}, {"defender": 40, "attacker": 9, "victim": 50, "test": 60}])
def test_the_indices_are_those_of_the_split(sizes: dict[str, int]) -> None:
    dataset, seed = load_dataset("digits"), Seed(3).child("split")
    split, indices = (make(dataset, seed, **sizes) for make in (split_dataset, split_indices))
    for name in ("victim", "defender", "attacker", "test"):
        whole = dataset.test if name == "test" else dataset.train
        part, chosen = getattr(split, name), getattr(indices, name)
        assert torch.equal(part.images, whole.images[chosen])
        assert torch.equal(part.labels, whole.labels[chosen])
