"""Safetensors files whose headers lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.checkpoints.files import SIX, assert_refused, read, safetensors


def entry(
    dtype: object = "F32", shape: object = (2, 3), offsets: object = (0, 24)
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_good_one(tmp_path: Path) -> None:
    tree = read(tmp_path / "m", safetensors({"w": entry()}, SIX)).tree
    assert isinstance(tree, dict)
    assert tree["w"].view(torch.int32).tolist() == [[0, 1, 2], [3, 4, 5]]
    flags = {"w": entry("BOOL", [3], [0, 3])}
    tree = read(tmp_path / "m", safetensors(flags, b"\0\2\1")).tree
    assert isinstance(tree, dict)
    assert tree["w"].view(torch.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"w": entry(offsets=[0, 1 << 40])}, "its shape needs 24 bytes"),
        ({"w": entry(shape=[1 << 40])}, "its shape needs"),
        ({"w": entry(shape=[1 << 61, 1 << 61])}, "lies about 'w'"),
        ({"w": entry(shape=[1 << 63])}, "lies about 'w'"),
        ({"w": entry(shape=[0, 1 << 61, 1 << 61], offsets=[0, 0])}, "lies about 'w'"),
        ({"w": entry(shape=[-1])}, "lies about 'w'"),
        ({"w": entry(shape=[True] * 3)}, "lies about 'w'"),
        ({"w": entry(shape="23")}, "lies about 'w'"),
        ({"w": entry(shape=[1] * 40)}, "lies about 'w'"),
        ({"w": entry(dtype="F31")}, "unknown type 'F31'"),
        ({"w": entry(dtype=3)}, "unknown type '3'"),
        ({"w": entry(offsets=[24, 0])}, "its shape needs"),
        ({"w": entry(offsets=[0, 12, 24])}, "lies about 'w'"),
        ({"w": entry(), "v": entry()}, "overlap or leave gaps"),
        ({"w": entry(shape=[5], offsets=[4, 24])}, "overlap or leave gaps"),
        ({"w": entry(shape=[5], offsets=[0, 20])}, "20 bytes of tensors, but holds 24"),
        ({"w": {"dtype": "F32"}}, "lies about 'w'"),
        ({"w": 3}, "lies about 'w'"),
        ({"__metadata__": {"a": 1}}, "metadata that are no text"),
        ({"__metadata__": 3}, "metadata that are no text"),
        (b"{" + b" " * 10 + b"x}", "no JSON"),
        (b'{"a":' + b"[" * 100_000, "no JSON"),
        (b'{"w": {}, "w": {}}', "a name occurs twice"),
        (b'{"w": {"shape": [' + b"9" * 10_000 + b"]}}", "no JSON"),
    ],
)
def test_a_bad_one_is_refused(header: object, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(safetensors(header, SIX))
    assert "Error:" not in assert_refused(tmp_path / "m.safetensors", words)


def test_a_header_that_is_longer_than_the_file(tmp_path: Path) -> None:
    content = safetensors({"w": entry()}, SIX)
    for size in (1 << 30, len(content)):
        (tmp_path / "m").write_bytes(size.to_bytes(8, "little") + content[8:])
        assert_refused(tmp_path / "m", "longer than the file")
