"""What torch.save and safetensors write is read back with equal values; other files are named."""

from __future__ import annotations

import argparse
import collections
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from remission.checkpoints import Opaque, copied, read_checkpoint
from tests.unit.checkpoints.files import assert_refused, legacy, read

FORMATS = [(kind, protocol) for kind in ("zip", "legacy") for protocol in (2, 3, 4, 5)]
both = pytest.mark.parametrize(("kind", "protocol"), FORMATS)
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
    torch.complex64,
    torch.complex128,
    torch.uint16,
    torch.float8_e4m3fn,
]


def saved(value: object, file: Path, kind: str = "zip", protocol: int = 2) -> Any:  # noqa: ANN401
    """Writes a value by torch.save and returns what is read."""
    new = kind == "zip"
    torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    loaded = read_checkpoint(file)
    assert loaded.container == kind
    return loaded.tree


def same(one: Tensor, other: Tensor) -> bool:
    """Compares bit by bit: NaN is NaN."""
    raw = [t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(*raw)


@both
def test_every_type_of_elements(kind: str, protocol: int, tmp_path: Path) -> None:
    values = {str(dtype): (torch.arange(12) % 5).reshape(3, 4).to(dtype) for dtype in DTYPES}
    read_back = saved(values, tmp_path / "m.pt", kind, protocol)
    assert list(read_back) == list(values)
    for name, value in values.items():
        assert same(read_back[name], value), name


@both
def test_views_and_shapes(kind: str, protocol: int, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    values = {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "part": base[1:, ::2, 1:3],
        "expanded": torch.tensor([3.0]).expand(5),
        "number": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "nothing": torch.empty(0),
        "conjugated": torch.complex(base, -base).conj(),
        "negated": torch.complex(base, -base).conj().imag,
    }
    read_back = saved(values, tmp_path / "m.pt", kind, protocol)
    for name, value in values.items():
        assert torch.equal(read_back[name], value), name
        assert read_back[name].shape == value.shape
    assert read_back["base"].data_ptr() == read_back["transposed"].data_ptr()
    assert read_back["transposed"].stride() == values["transposed"].stride()
    separate = copied({"base": read_back["base"], "transposed": read_back["transposed"]})
    assert separate["transposed"].is_contiguous()
    assert torch.equal(separate["transposed"], values["transposed"])
    assert separate["base"].data_ptr() != read_back["base"].data_ptr()


@both
def test_plain_values(kind: str, protocol: int, tmp_path: Path) -> None:
    shared = [1, 2]
    values = {
        "text": "é€😀" * 50,
        "bytes": b"\x00\xff" * 200,
        "none": (b"", None),
        "numbers": [
            0,
            -1,
            255,
            256,
            65536,
            -(2**31),
            2**31,
            -(2**63),
            10**50,
            1.5,
            float("inf"),
            2j,
        ],
        "true": (True, False),
        3: {"nested": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4))},
        (1, "a"): {1, 2, 3},
        "frozen": frozenset("ab"),
        "slice": slice(1, None, 2),
        "shared": [shared, shared],
        "ordered": collections.OrderedDict(b=1, a=2),
        "default": collections.defaultdict(list, {"x": [1]}),
        "array": bytearray(b"xyz"),
    }
    read_back = saved(values, tmp_path / "m.pt", kind, protocol)
    assert read_back == values | {"array": b"xyz"}
    assert read_back["shared"][0] is read_back["shared"][1]
    assert list(read_back["ordered"]) == ["b", "a"]
    assert type(read_back["ordered"]) is type(read_back["default"]) is dict


@both
def test_torch_and_numpy(kind: str, protocol: int, tmp_path: Path) -> None:
    values = {
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "device": torch.device("cuda:1"),
        "parameter": nn.Parameter(torch.ones(2)),
        "scalars": [np.float64(2.5), np.int32(-7), np.bool_(True), np.complex64(1 + 2j)],
        "half": np.float16(0.5),
        "matrix": np.arange(6).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(5, dtype=">i4"),
        "flags": np.array([True, False]),
        "nothing": np.zeros((0, 2), dtype=np.uint8),
    }
    read_back = saved(values, tmp_path / "m.pt", kind, protocol)
    assert read_back["dtype"] is torch.bfloat16
    assert read_back["size"] == (2, 3)
    assert read_back["device"] == torch.device("cuda:1")
    assert torch.equal(read_back["parameter"], torch.ones(2))
    assert read_back["scalars"] == [2.5, -7, True, 1 + 2j]
    assert read_back["half"] == 0.5
    for name in ("matrix", "fortran", "big", "flags", "nothing"):
        array = values[name]
        assert isinstance(array, np.ndarray)
        assert np.array_equal(read_back[name].numpy(), array), name
        assert read_back[name].shape == array.shape


@both
def test_everything_else_is_a_stand_in(kind: str, protocol: int, tmp_path: Path) -> None:
    values = {
        "args": argparse.Namespace(arch="resnet18", lr=0.1),
        "path": Path("somewhere"),
        "counter": collections.Counter("aab"),
        "queue": collections.deque([1, 2]),
        "words": np.array(["a", "b"]),
        "sparse": torch.eye(2).to_sparse(),
        "storage": torch.ones(3).untyped_storage(),
        "meta": torch.empty(2, device="meta"),
        "class": nn.Linear,
    }
    read_back = saved(values, tmp_path / "m.pt", kind, protocol)
    assert all(isinstance(value, Opaque) for value in read_back.values())
    args = read_back["args"]
    assert (args.module, args.name) == ("argparse", "Namespace")
    assert args.fields == {"arch": "resnet18", "lr": 0.1}
    assert read_back["class"].args is None
    assert read_back["path"].args == ("somewhere",)
    assert read_back["counter"].args == ({"a": 2, "b": 1},)
    assert "nn.modules.linear.Linear" in repr(read_back["class"])


def test_tensors_are_mapped_and_the_file_does_not_change(tmp_path: Path) -> None:
    file = tmp_path / "m.pt"
    value = saved({"w": torch.zeros(1000)}, file)["w"]
    before = file.read_bytes()
    value.fill_(1)
    assert file.read_bytes() == before
    assert torch.equal(read_checkpoint(file).tree["w"], torch.zeros(1000))  # type: ignore[index]


def test_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "any.name"
    values = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in DTYPES[:10]}
    values |= {"number": torch.tensor(1.0), "empty": torch.empty(0, 2)}
    save_file(values, file, metadata={"format": "pt"})
    loaded = read_checkpoint(file)
    assert loaded.container == "safetensors"
    assert loaded.metadata == {"format": "pt"}
    assert isinstance(loaded.tree, dict)
    assert loaded.tree.keys() == values.keys()
    for name, value in values.items():
        assert same(loaded.tree[name], value), name


def test_a_training_checkpoint(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    value = {"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    read_back = saved(value, tmp_path / "m.pth.tar")
    for name, weight in net.state_dict().items():
        assert torch.equal(read_back["state_dict"][name], weight)
    moments = optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(read_back["optimizer"]["state"][0]["exp_avg"], moments)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 50, "is a 7z archive"),
        (b"\n<!DOCTYPE html><html>Not found</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run: git lfs pull"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "is compressed by gzip"),
        (b"PK\5\6" + b"\0" * 18, "is an empty zip archive"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b'{"a": 1}', "is a text in JSON"),
        (b"storages".ljust(257, b"\0") + b"ustar" + b"\0" * 250, "is a tar archive"),
        (b"hello", "is no checkpoint"),
        (b"\0" * 5000, "is no checkpoint"),
        (b"\xff" * 5000, "is no checkpoint"),
    ],
)
def test_other_files_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(content)
    assert_refused(file, words)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path, "is a folder")
    assert_refused(tmp_path / "nowhere.pt", "there is no file")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "is no file but a device or a pipe")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_refused_at_every_length(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    state = {"weight": torch.arange(6.0), "bias": torch.ones(2)}
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    content = file.read_bytes()
    for length in range(0, len(content), 7):
        file.write_bytes(content[:length])
        assert_refused(file)


def test_an_unexpected_failure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("remission.checkpoints.reading.check_nesting", fails)
    (tmp_path / "m.pt").write_bytes(legacy(b"\x80\x02N."))
    assert_refused(tmp_path / "m.pt", "RuntimeError: first line second line")


def test_the_old_format_with_protocol_1(tmp_path: Path) -> None:
    assert saved({"a": torch.ones(2), "b": [1, 2.5]}, tmp_path / "m.pt", "legacy", 1)["b"] == [
        1,
        2.5,
    ]
    assert read(
        tmp_path / "n.pt", legacy(b"(lp0\nI1\naL2L\naF2.5\naVx\\u00e9\nas.".replace(b"as.", b"a."))
    ).tree == [
        1,
        2,
        2.5,
        "xé",
    ]
