"""Weights on disk are read back as they were written, and other files are refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor

from remission.errors import CheckpointError
from remission.models import Classifier, build_model, load_weights, save_weights
from remission.models.checkpoint import pack, read_tensors
from remission.seeding import Seed


def built(seed: int = 0, classes: int = 4, width: int = 1) -> Classifier:
    return build_model(
        f"resnet18:{width}",
        classes=classes,
        shape=(1, 8, 8),
        mean=(0.5,),
        std=(0.5,),
        seed=Seed(seed),
    )


def state_of(model: Classifier) -> dict[str, Tensor]:
    return {key: value.clone().contiguous() for key, value in model.state_dict().items()}


def assert_refused(file: Path, *words: str) -> None:
    """Checks that one line refuses the file by name, and that the model is unchanged."""
    model = built(seed=1)
    before = state_of(model)
    with pytest.raises(CheckpointError) as error:
        load_weights(model, file)
    line = str(error.value)
    assert str(file) in line
    assert "\n" not in line
    assert error.value.remedy
    for word in words:
        assert word in line
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Writes the weights of a model to disk."""
    save_weights(built(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_what_was_written_comes_back(file: Path) -> None:
    model = built(seed=1)
    load_weights(model, file)
    for key, value in built().state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
        assert model.state_dict()[key].dtype == value.dtype
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), built().eval()(images))


def test_loading_keeps_the_memory_format_and_the_gradients_switch(file: Path) -> None:
    model = built(seed=1, width=1)
    model.conv1.requires_grad_(False)
    load_weights(model, file)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last), name
        assert parameter.requires_grad == (name != "conv1.weight")


def test_the_same_weights_are_the_same_bytes_whatever_their_memory_format() -> None:
    model = built()
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        parameter.data = parameter.data.contiguous()
    assert pack(model) == pack(other)


def test_tensors_of_half_the_precision_are_taken(tmp_path: Path) -> None:
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in state_of(built()).items()
    }
    save_file(state, tmp_path / "half.safetensors")
    model = built(seed=1)
    load_weights(model, tmp_path / "half.safetensors")
    assert model.state_dict()["conv1.weight"].dtype == torch.float32
    assert torch.equal(model.state_dict()["linear.weight"], state["linear.weight"].float())


def test_a_truncated_file_is_refused_at_every_length(file: Path) -> None:
    content = file.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    lengths = [*range(20), *range(20, len(content), 997), header - 1, header, header + 1]
    for length in [*lengths, len(content) - 1]:
        file.write_bytes(content[:length])
        assert_refused(file, "is no whole safetensors file")


def test_bytes_behind_the_end_are_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert_refused(file, "is no whole safetensors file")


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 5000,
        b"\x80\x04\x95" + b"\0" * 100,
        b"PK\x03\x04" + b"\0" * 100,
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"null",
        (9).to_bytes(8, "little") + b'{"a": 1.}',
    ],
    ids=["text", "pickle", "zip", "ones", "list", "null", "json"],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    assert_refused(file, "is no whole safetensors file", "convert it with safetensors")


def header_of(entry: dict[str, object]) -> bytes:
    text = json.dumps({"conv1.weight": entry}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1, 1, 3, 3], "data_offsets": [0, 1 << 40]},
        {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 36]},
        {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 36]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 36]},
        {"dtype": "F31", "shape": [9], "data_offsets": [0, 36]},
        {"dtype": "F32", "shape": [9], "data_offsets": [36, 0]},
    ],
    ids=["offset", "shape", "overflow", "negative", "type", "backwards"],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, entry: dict[str, object]) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(header_of(entry) + b"\0" * 36)
    assert_refused(file, "is no whole safetensors file")


CONTENT = pack(built())


@settings(max_examples=150, deadline=None, derandomize=True)
@given(place=st.integers(0, len(CONTENT) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_changes_one_number(
    place: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "changed.safetensors"
    file.write_bytes(CONTENT[:place] + bytes([byte]) + CONTENT[place + 1 :])
    model = built(seed=1)
    try:
        load_weights(model, file)
    except CheckpointError:
        return
    changed = [
        key
        for key, value in built().state_dict().items()
        if not torch.equal(model.state_dict()[key], value)
    ]
    assert len(changed) <= 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere.safetensors", "there is no file", "check its path")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path)


@pytest.mark.parametrize("key", ["linear.bias", "layer2.0.shortcut.1.running_var"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    state = state_of(built())
    del state[key]
    save_file(state, tmp_path / "m.safetensors")
    assert_refused(tmp_path / "m.safetensors", f"lacks '{key}'", "architecture")


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    state = state_of(built())
    save_file({**state, "fc.weight": torch.zeros(2)}, tmp_path / "m.safetensors")
    assert_refused(tmp_path / "m.safetensors", "the unknown key 'fc.weight'", "architecture")


@pytest.mark.parametrize(("classes", "width"), [(5, 1), (4, 2), (4, 3)])
def test_weights_of_another_size_are_refused(tmp_path: Path, classes: int, width: int) -> None:
    save_weights(built(classes=classes, width=width), tmp_path / "m.safetensors")
    assert_refused(tmp_path / "m.safetensors", "has shape", "the model's has", "width")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["layer3.1.conv2.weight", "bn1.running_var"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, key: str, value: float) -> None:
    state = state_of(built())
    state[key].view(-1)[-1] = value
    save_file(state, tmp_path / "m.safetensors")
    assert_refused(tmp_path / "m.safetensors", f"'{key}'", "not finite", "did not diverge")


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    state = state_of(built())
    state["linear.weight"] = torch.ones(state["linear.weight"].shape, dtype=dtype)
    save_file(state, tmp_path / "m.safetensors")
    assert_refused(tmp_path / "m.safetensors", "'linear.weight'", str(dtype).removeprefix("torch."))


def test_tensors_are_read_without_a_model(file: Path) -> None:
    assert read_tensors(file).keys() == built().state_dict().keys()
    assert save(read_tensors(file)) == file.read_bytes()
