"""Weights for an architecture that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from remission.errors import SpecError, UserError
from remission.recognise import ArchitectureError, foreign_state, from_code, from_name, is_code
from remission.seeding import Seed
from tests.unit.models.zoo import SMALL, built

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.last = nn.Linear(width, 5)

    def forward(self, x):
        return self.last(self.model(x).flatten(1))

def net():
    return Net()

def wrapped():
    return nn.Sequential(nn.Identity(), Net())

def wide():
    return Net(6)

def fails():
    raise KeyError("no")

def nothing():
    return 3
"""
NORMAL: dict[str, Any] = {"shape": (3, 8, 8), "mean": (0.3,) * 3, "std": (0.5,) * 3}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path / "net.py"


def state(prefix: str = "") -> dict[str, torch.Tensor]:
    with Seed(5).initialising():
        body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        last = nn.Linear(4, 5)
    tensors = {f"{prefix}model.{key}": value for key, value in body.state_dict().items()}
    return tensors | {f"{prefix}last.{key}": value for key, value in last.state_dict().items()}


@pytest.mark.parametrize(("prefix", "name"), [("", "net"), ("module.", "net"), ("1.", "wrapped")])
def test_code_of_ones_own(code: Path, prefix: str, name: str) -> None:
    weights = state(prefix)
    model = from_code(f"{code}:{name}", weights, **NORMAL)
    images = torch.rand(2, 3, 8, 8, generator=Seed(1).generator())
    normal = (images - 0.3) / 0.5
    maps = nn.functional.conv2d(
        normal, weights[f"{prefix}model.0.weight"], weights[f"{prefix}model.0.bias"]
    )
    pooled = maps.relu().mean((2, 3))
    expected = nn.functional.linear(
        pooled, weights[f"{prefix}last.weight"], weights[f"{prefix}last.bias"]
    )
    torch.testing.assert_close(model(images), expected)
    assert model.classes == 5
    back = foreign_state(model)
    assert list(back) == list(weights)
    assert all(torch.equal(back[key], weights[key]) for key in weights)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wide", r"'model.0.weight' has shape \(4, 3, 3, 3\) instead of \(6, 3, 3, 3\)"),
        ("nett", r"has no function 'nett'; did you mean 'net'\?"),
        ("fails", r"line 24: fails\(\) raised KeyError"),
        ("nothing", r"nothing\(\) returns something of type int; write FILE.py:function"),
        ("a b", "names no function"),
    ],
)
def test_code_that_does_not_fit(code: Path, name: str, said: str) -> None:
    with pytest.raises(ArchitectureError, match=said) as error:
        from_code(f"{code}:{name}", state(), **NORMAL)
    assert "\n" not in str(error.value)


def test_code_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(SpecError, match=r"line 1: ModuleNotFoundError"):
        from_code(f"{tmp_path / 'bad.py'}:net", state(), **NORMAL)
    with pytest.raises(SpecError, match="cannot be read"):
        from_code(f"{tmp_path / 'gone.py'}:net", state(), **NORMAL)


def test_which_names_are_code() -> None:
    assert is_code("some/net.py:make")
    assert is_code("C:\\net.py:make")
    assert not any(map(is_code, ("resnet18", "resnet18:16", "timm:resnet18", "net.py")))


@pytest.mark.parametrize("arch", SMALL.values())
def test_our_own_by_name(arch: str) -> None:
    model = built(arch).eval()
    weights = {f"module.{key}": value for key, value in model.state_dict().items()}
    given: dict[str, Any] = {
        "shape": model.shape,
        "mean": tuple(model.mean.flatten().tolist()),
        "std": tuple(model.std.flatten().tolist()),
    }
    again = from_name(arch, weights, **given)
    images = torch.rand(2, *model.shape, generator=Seed(1).generator())
    torch.testing.assert_close(again(images), model(images))
    assert again.classes == 5
    assert list(foreign_state(again)) == list(weights)


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        ("resnet18:4", "not those of resnet18:4: "),
        ("vgg19_bn:2", "there is no matrix 'classifier.weight'"),
        ("preactresnet18:2", "'bn1.weight' has no place|there is no"),
        ("resnet19", "unknown model 'resnet19'"),
    ],
)
def test_another_name_is_refused(arch: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_name(arch, built("resnet18:2").state_dict(), **NORMAL)
