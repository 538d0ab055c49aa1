"""Prefixes and normalisation layers of wrappers."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from remission.recognise import ArchitectureError, strip_prefixes

NET = {"conv1.weight": torch.ones(2, 3, 3, 3), "fc.weight": torch.zeros(4, 2)}
MEAN, STD = torch.tensor([0.5, 0.25, 0.125]), torch.tensor([0.25, 0.5, 1.0])


def prefixed(prefix: str, state: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in (state or NET).items()}


WORDS = ("module.", "model.", "_orig_mod.", "backbone.", "net.")


@pytest.mark.parametrize(
    "prefix", ["", *WORDS, *map("".join, itertools.permutations(WORDS, 2)), "module.module.1."]
)
def test_prefixes_in_any_nesting(prefix: str) -> None:
    stripped = strip_prefixes(prefixed(prefix))
    assert list(stripped.tensors) == list(NET)
    assert stripped.prefix == prefix
    assert stripped.keys == {key: prefix + key for key in NET}
    assert stripped.mean is stripped.std is None
    assert stripped.follows == prefix.endswith("1.")


def test_a_prefix_that_one_name_lacks_stays() -> None:
    state = {**prefixed("module."), "epoch": torch.zeros(1)}
    assert list(strip_prefixes(state).tensors) == list(state)


@pytest.mark.parametrize(
    ("layer", "net"),
    [
        ("0.{}", "1."),
        ("normalize.{}", "model."),
        ("{}", "backbone."),
        ("norm._{}", ""),
        ("0.{}", "1.net."),
    ],
)
@pytest.mark.parametrize("outer", ["", "module."])
@pytest.mark.parametrize("sides", [(3,), (3, 1, 1), (1, 3, 1, 1)])
def test_normalisation_layers(layer: str, net: str, outer: str, sides: tuple[int, ...]) -> None:
    inner = {layer.format("mean"): MEAN.view(sides), **prefixed(net)}
    state = prefixed(outer, {**inner, layer.format("std"): STD.view(sides)})
    stripped = strip_prefixes(state)
    assert stripped.mean == (0.5, 0.25, 0.125)
    assert stripped.std == (0.25, 0.5, 1.0)
    assert list(stripped.tensors) == list(NET)
    assert sorted([*stripped.aside, *stripped.keys.values()]) == sorted(state)
    assert stripped.order == tuple(state)
    assert not stripped.follows, "what comes before the network is known"


def test_a_normalisation_of_bytes_is_brought_to_the_unit_range() -> None:
    stripped = strip_prefixes({"mean": MEAN * 255, "std": STD * 255, **NET})
    assert stripped.mean == pytest.approx((0.5, 0.25, 0.125))
    assert stripped.std == pytest.approx((0.25, 0.5, 1.0))
    assert "in 0..255" in stripped.evidence[0]


@pytest.mark.parametrize(
    "extra",
    [
        {"layer.mean": torch.zeros(3)},
        {"layer.mean": torch.zeros(300), "layer.std": torch.ones(300)},
        {"layer.mean": torch.zeros(3), "layer.std": torch.ones(1)},
        {"layer.mean": torch.zeros(3), "layer.std": torch.ones(3), "layer.weight": torch.ones(3)},
        {"layer.mean": torch.zeros(3, dtype=torch.int64), "layer.std": torch.ones(3)},
    ],
    ids=["alone", "wide", "unequal", "with weights", "integers"],
)
def test_what_is_no_normalisation_layer_stays(extra: dict[str, Tensor]) -> None:
    state = {**NET, **extra}
    stripped = strip_prefixes(state)
    assert stripped.mean is None
    assert list(stripped.tensors) == list(state)


def test_what_is_no_state_dict_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="there are no tensors"):
        strip_prefixes({})
    with pytest.raises(ArchitectureError, match="'epoch' is no tensor but of type int"):
        strip_prefixes({**NET, "epoch": 3})  # type: ignore[dict-item]
