"""Which architecture tensors belong to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from remission.models import build_model
from remission.recognise import ArchitectureError, candidates, recognise
from tests.unit.models.zoo import SMALL
from tests.unit.recognise.cases import CASES, tape

State = dict[str, Tensor]
LEARNT = [name for name in CASES if "3x3" not in name]
"""Those that only one architecture fits."""


@pytest.mark.parametrize("name", CASES)
def test_each_family_is_recognised(name: str) -> None:
    case, state = CASES[name], tape(name).state
    shuffled = dict(sorted(state.items(), key=lambda entry: entry[0][::-1]))
    for given in (state, shuffled, {f"module.{key}": value for key, value in state.items()}):
        found = recognise(given, case.arch if "3x3" in name else "")
        assert found.arch == case.arch
        assert (found.classes, found.channels) == (7, case.channels)
        assert found.size == ((case.side, case.side) if case.says_size else None)
        assert found.evidence[-1].endswith("7 rows, one for each class")


@pytest.mark.parametrize("side", [28, 32, 64])
@pytest.mark.parametrize("arch", SMALL.values())
def test_our_own_models_are_recognised_in_every_size(arch: str, side: int) -> None:
    normal = {"mean": (0.5,), "std": (0.5,)}
    with torch.device("meta"):
        model = build_model(arch, classes=6, shape=(1, side, side), **normal)  # type: ignore[arg-type]
    found = recognise(model.state_dict())
    assert (found.arch, found.classes, found.channels) == (arch, 6, 1)


@pytest.mark.parametrize(
    "arch", ["resnet18", "resnet18:16", "preactresnet18", "vgg19_bn", "swin_t"]
)
def test_widths_are_read(arch: str) -> None:
    normal = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    with torch.device("meta"):
        model = build_model(arch, classes=10, shape=(3, 32, 32), **normal)  # type: ignore[arg-type]
    found = recognise(model.state_dict())
    assert found.arch == arch
    assert found.width == {"resnet18:16": 16, "swin_t": 96}.get(arch, 64)


def test_several_architectures_are_listed() -> None:
    state = tape("torchvision resnet18, 3x3 stem").state
    both = ["torchvision/resnet18+stem3x3:3", "torchvision/resnet18+stem3x3+pool:3"]
    assert [one.arch for one in candidates(state)] == both
    with pytest.raises(
        ArchitectureError, match=r"fit 2 architectures: .*name one of them"
    ) as error:
        recognise(state)
    assert all(arch in str(error.value) for arch in both)
    with pytest.raises(ArchitectureError, match="not of resnet18; use one that exists"):
        recognise(state, "resnet18")


def a_middle_key(state: State) -> str:
    """A matrix that is neither the first nor the last."""
    keys = [key for key, value in state.items() if value.ndim > 1 and key.endswith("weight")]
    return keys[len(keys) // 2]


def lacking(state: State, key: str) -> str:
    del state[key]
    return key


def called_otherwise(state: State, key: str) -> str:
    state[f"{key}_"] = state.pop(key)
    return key


def shaped_otherwise(state: State, key: str) -> str:
    state[key] = torch.cat([state[key], state[key]], dim=1)
    return key


@pytest.mark.parametrize("change", [lacking, called_otherwise, shaped_otherwise])
@pytest.mark.parametrize("name", LEARNT)
def test_one_wrong_tensor_is_named(name: str, change: Callable[[State, str], str]) -> None:
    state = dict(tape(name).state)
    key = change(state, a_middle_key(state))
    with pytest.raises(ArchitectureError) as error:
        recognise(state)
    assert f"'{key}'" in error.value.problem
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("name", LEARNT)
def test_a_missing_first_or_last_tensor_is_refused(name: str, which: int) -> None:
    state = dict(tape(name).state)
    keys = [key for key, value in state.items() if value.ndim > 1]
    del state[keys[which]]
    with pytest.raises(ArchitectureError, match="there is no '"):
        recognise(state)


@pytest.mark.parametrize("name", LEARNT)
def test_tensors_that_are_left_over_are_named(name: str) -> None:
    with pytest.raises(ArchitectureError, match="'ema_decay' has no place"):
        recognise({**tape(name).state, "ema_decay": torch.zeros(1)})


@pytest.mark.parametrize("body", ["layers", "features", "blocks", "encoder.layers"])
def test_layers_without_a_convolution_are_no_network_of_a_family(body: str) -> None:
    state = {f"{body}.{n}.weight": torch.zeros(4, 4) for n in range(6)}
    state |= {f"{body}.{n}.bias": torch.zeros(4) for n in range(6)}
    with pytest.raises(ArchitectureError):
        recognise(state)


def test_unknown_tensors() -> None:
    with pytest.raises(ArchitectureError, match=r"are called 'a', 'b.c'; name your own code"):
        recognise({"a": torch.zeros(1), "b.c": torch.zeros(2)})


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("cifar resnet18", "layer1.999999.conv1.weight", (1,)),
        ("cifar resnet18", "layer1.99999999999999999999.conv1.weight", (1,)),
        ("cifar resnet18", "layer1." + "9" * 5000 + ".conv1.weight", (1,)),
        ("cifar resnet18", "conv1.weight", (2**30, 2**10, 3, 3)),
        ("cifar resnet18", "conv1.weight", (0, 3, 3, 3)),
        ("cifar vgg", "features.999999.weight", (3, 3, 3, 3)),
        ("timm vit", "pos_embed", (1, 2**50, 8)),
        ("timm vit", "patch_embed.proj.weight", (2**20, 1, 2**20, 2**20)),
        ("timm swin", "layers.0.blocks.0.attn.relative_position_bias_table", (2**40, 1)),
        ("timm swin", "layers.999999.blocks.0.norm1.weight", (4,)),
        ("torchvision mobilenet_v2", "features.999999.conv.0.0.weight", (4, 1, 3, 3)),
        ("torchvision densenet", "features.denseblock999999.denselayer999999.x", (1,)),
        ("timm convnext", "stages.0.blocks.99999.gamma", (1,)),
        ("torchvision vgg", "classifier.0.weight", (9, 2**59)),
    ],
)
def test_hostile_names_and_shapes_are_refused_at_once(
    name: str, key: str, shape: tuple[int, ...]
) -> None:
    state = dict(tape(name).state)
    state[key] = (
        torch.empty(1, device="meta").expand(shape) if 0 not in shape else torch.ones(shape)
    )
    with pytest.raises(ArchitectureError) as error:
        recognise(state)
    assert "\n" not in str(error.value)
