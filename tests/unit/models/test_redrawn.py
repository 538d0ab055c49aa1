"""Random first weights for a network whose code is not known."""

from __future__ import annotations

import pytest
import torch

from remission.models import build_model
from remission.models.redrawn import redrawn
from remission.seeding import Seed
from tests.unit.models.zoo import SMALL, built


@pytest.mark.parametrize("arch", SMALL.values())
def test_all_weights_are_drawn_anew(arch: str) -> None:
    model = built(arch)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)  # as a training changes them
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fresh = redrawn(model, seed=Seed(4)).state_dict()
    new = build_model(
        arch, classes=5, shape=(3, 16, 16), mean=(0.5,) * 3, std=(0.5,) * 3, seed=Seed(4)
    ).state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), "the model itself is not changed"
        assert not torch.equal(fresh[key], value), key
    for key in fresh:
        if "running" in key or "bn" in key:  # scales, shifts and statistics as of a new model
            assert torch.equal(fresh[key], new[key]), key
