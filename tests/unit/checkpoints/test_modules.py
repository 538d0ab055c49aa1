"""Modules that were pickled whole give the names of their state dicts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from remission.checkpoints import Opaque, read_checkpoint, state_of
from remission.errors import CheckpointError


class Block(nn.Module):
    """Has every kind of tensor that a module can have."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, bias=False)
        self.normalisation = nn.BatchNorm2d(2)
        self.scale = nn.Parameter(torch.ones(1))
        self.register_parameter("nothing", None)
        self.register_buffer("saved", torch.arange(3))
        self.register_buffer("unsaved", torch.arange(4), persistent=False)
        self.absent: nn.Module | None
        self.register_module("absent", None)
        self.also = self.convolution
        self.plain = torch.zeros(5)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("parallel", [True, False])
def test_the_names_of_the_state_dict(new: bool, parallel: bool, tmp_path: Path) -> None:
    module: nn.Module = nn.Sequential(Block(), nn.Linear(2, 3))
    if parallel:
        module = nn.DataParallel(module)
    torch.save(module, tmp_path / "m.pt", _use_new_zipfile_serialization=new)
    read_back = read_checkpoint(tmp_path / "m.pt").tree
    assert isinstance(read_back, Opaque)
    state = state_of(read_back)
    assert list(state) == list(module.state_dict())
    for name, value in module.state_dict().items():
        assert torch.equal(state[name], value), name


def module_with(**modules: object) -> Opaque:
    state = {"_parameters": {}, "_buffers": {}, "_modules": modules}
    return Opaque("somewhere", "Net", (), state)


def test_what_is_no_module() -> None:
    values: tuple[object, ...] = (3, {}, Opaque("os", "system"), module_with(a=Opaque("a", "b")))
    for value in values:
        with pytest.raises(CheckpointError, match="is no module"):
            state_of(value)


def test_a_module_that_contains_itself() -> None:
    module = module_with()
    assert isinstance(module.state, dict)
    module.state["_modules"]["again"] = module
    with pytest.raises(CheckpointError, match="contains itself"):
        state_of(module)


def test_a_parameter_that_is_no_tensor() -> None:
    module = module_with()
    assert isinstance(module.state, dict)
    module.state["_parameters"]["weight"] = Opaque("torch._utils", "_rebuild_qtensor", ())
    with pytest.raises(CheckpointError, match="'weight' in the file is no plain tensor"):
        state_of(module)


def test_modules_that_hold_each_other_twice_come_to_an_end() -> None:
    """2^60 modules in sixty stand-ins, without a tensor."""
    module = module_with()
    for _ in range(60):
        module = module_with(a=module, b=module)
    with pytest.raises(CheckpointError, match="more than 20000 modules"):
        state_of(module)


def test_a_module_that_is_used_twice_is_there_twice() -> None:
    leaf = module_with()
    state = leaf.state
    assert isinstance(state, dict)
    state["_parameters"] = {"w": torch.ones(1)}
    assert list(state_of(module_with(a=leaf, b=leaf))) == ["a.w", "b.w"]
