"""Any network of a user as a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import remission
from remission.models import Adapted, build_like
from remission.recognise import ArchitectureError, foreign_state, wrap
from remission.recognise.any_network import BeforeLastLayer
from remission.seeding import Seed
from tests.unit.models import plain

NORMAL: dict[str, Any] = {"mean": (0.3,) * 3, "std": (0.5,) * 3, "shape": (3, 16, 16)}


class Branching(nn.Module):
    """Its forward pass depends on values, so that no graph can be traced."""

    def __init__(self, after: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.drop, self.fc = plain.convolution(3, 6), nn.Dropout(0.5), nn.Linear(6, 10)
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        if float(x.detach().sum()) > 1e9:
            x = x / 2
        out: Tensor = self.after(self.fc(self.drop(x.mean((2, 3)))))
        return out


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with Seed(3).initialising():
        return make().eval()


@pytest.mark.parametrize(
    ("make", "kind", "map_size"),
    [
        (plain.sequential, Adapted, (6, 8, 8)),
        (plain.Residual, Adapted, (6, 16, 16)),
        (plain.Declared, Adapted, (6, 4, 4)),
        (Branching, BeforeLastLayer, (6, 1, 1)),
    ],
)
def test_a_module_becomes_a_classifier(
    make: Callable[[], nn.Module], kind: type, map_size: tuple[int, ...]
) -> None:
    module = made(make)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    model = wrap(module, classes=10, **NORMAL)
    assert isinstance(model, kind)
    images = torch.rand(2, 3, 16, 16, generator=Seed(1).generator())
    torch.testing.assert_close(model(images), module((images - 0.3) / 0.5))
    features = model.features(images)
    assert features.shape[1:] == map_size
    torch.testing.assert_close(model.classify(features), model(images))
    assert model.final_linear.out_features == 10
    assert not model.training
    model.final_linear.weight.data.zero_()
    state = module.state_dict()
    assert all(torch.equal(state[key], before[key]) for key in before), "a copy is wrapped"
    changed = foreign_state(model)
    assert list(changed) == list(before)
    assert sum(not torch.equal(changed[key], before[key]) for key in before) == 1


def test_a_training_reaches_all_weights_of_an_untraced_network() -> None:
    model = wrap(made(Branching), classes=10, **NORMAL).train()
    images = torch.rand(4, 3, 16, 16, generator=Seed(1).generator())
    assert torch.equal(model(images), model(images)), "dropout is switched off"
    model(images).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.final_linear.parameters())
    first = model.get_parameter("net.body.0.weight").grad
    assert first is not None
    assert bool(first.any())


def test_it_is_public_and_has_twins() -> None:
    model = remission.wrap(made(Branching), classes=10, **NORMAL)
    one, again, other = (build_like(model, seed=Seed(seed)) for seed in (1, 1, 2))
    weights = [m.final_linear.weight for m in (one, again, other, model)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])


@pytest.mark.parametrize(
    ("module", "given", "said"),
    [
        (Branching(), {"classes": 9}, r"gives \(2, 10\) for two images instead of \(2, 9\)"),
        (Branching(nn.Softmax(1)), {}, "does not end in a linear layer whose output"),
        (Branching(), {"shape": (1, 16, 16), "mean": (0.5,), "std": (1.0,)}, "fails for images"),
        (Branching(), {"mean": (0.5,)}, "do not fit images of 3 channels"),
        (Branching(), {"std": (0.5, 0.0, 0.5)}, "above 0 for std"),
        (plain.Flattening(), {"shape": (3, 20, 20)}, "fails for images of shape .*give the shape"),
        (nn.Flatten(), {}, r"gives \(2, 768\) for two images"),
    ],
)
def test_what_cannot_be_wrapped(module: nn.Module, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArchitectureError, match=said) as error:
        wrap(module, **{"classes": 10, **NORMAL, **given})
    assert "\n" not in str(error.value)
