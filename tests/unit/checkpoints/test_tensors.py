"""Tensors that would reach outside of their storages, and files of the old format that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch

from tests.unit.checkpoints.files import (
    SIX,
    assert_refused,
    counted,
    legacy,
    legacy_storage,
    numbers,
    pickled,
    read,
    storage,
    tensor,
    text,
    whole,
    zipped,
)

OUTSIDE = "larger than its storage"
BAD = {
    "too long": (tensor(size=numbers(7), stride=numbers(1)), OUTSIDE),
    "offset": (tensor(offset=b"K\x01"), OUTSIDE),
    "stride": (tensor(stride=numbers(4, 1)), OUTSIDE),
    "negative offset": (tensor(offset=whole(-1)), "in its shape, stride or offset"),
    "negative stride": (tensor(stride=numbers(-3, 1)), "in its shape, stride or offset"),
    "negative size": (tensor(size=numbers(-2, 3)), "in its shape, stride or offset"),
    "2^63": (tensor(size=numbers(1 << 63, 3)), "in its shape, stride or offset"),
    "overflow": (tensor(size=numbers(1 << 32, 1 << 32), stride=numbers(0, 0)), "no computer"),
    "overflow by stride": (tensor(stride=numbers(1 << 61, 1 << 61)), OUTSIDE),
    "empty and huge": (
        tensor(size=numbers(0, 1 << 61, 1 << 61), stride=numbers(1, 1, 1)),
        "no computer",
    ),
    "dimensions": (tensor(size=numbers(*[1] * 40), stride=numbers(*[1] * 40)), "32 dimensions"),
    "no stride": (tensor(stride=numbers(1)), "does not fit its stride"),
    "text": (tensor(size=text("23")), "without a shape"),
    "true": (tensor(size=b"\x88K\x03\x86"), "in its shape, stride or offset"),
    "fraction": (tensor(size=b"G?\xf0\0\0\0\0\0\0K\x03\x86"), "in its shape, stride or offset"),
    "text as storage": (tensor(text("0")), "what is no storage"),
    "call as storage": (
        tensor(b"ctorch.storage\n_load_from_bytes\n" + text("x") + b"\x85R"),
        "what is no storage",
    ),
    "arguments": (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "without its shape"),
    "type": (b"ctorch._utils\n_rebuild_tensor_v3\n(NNNNNNNtR", "without its type"),
    "truth values": (
        b"ctorch._utils\n_rebuild_tensor_v3\n("
        + storage()
        + b"K\x00"
        + numbers(2)
        + numbers(1)
        + b"\x89ccollections\nOrderedDict\n)Rctorch\nbool\ntR",
        "truth values in a storage of another type",
    ),
    "parameter": (b"ctorch._utils\n_rebuild_parameter\n" + text("x") + b"\x85R", "no tensor"),
    "device": (b"ctorch\ndevice\n" + text("../x") + b"\x85R", "name of a device"),
    "size": (b"ctorch\nSize\n" + text("ab") + b"\x85R", "builds a container"),
    "slice": (b"cbuiltins\nslice\n" + text("a") + b"NN\x87R", "slice"),
    "complex": (b"cbuiltins\ncomplex\n" + text("1") + b"\x85R", "complex number"),
    "encoding": (b"c_codecs\nencode\n" + text("a") + text("hex") + b"\x86R", "encoding"),
    "keys": (b"}]Ns", "a key of type list"),
    "pairs": (b"ccollections\nOrderedDict\n](Ne\x85R", "no pairs"),
    "itself": (b"]\x94h\x00a", "contains itself"),
    "extension": (b"\x82\x01", "the operation 0x82"),
    "buffer": (b"\x97", "the operation 0x97"),
    "unknown": (b"\xff", "the operation 0xff"),
    "no memo": (b"h\x07", "has not stored"),
    "no mark": (b"Nt", "a mark that is not there"),
    "no value": (b"0", "a mark that is not there"),
    "append": (b"NNa", "no list"),
    "assign": (b"NNNs", "no dict"),
    "odd": (b"}(Nu", "without a value"),
    "add": (b"N(\x90", "no set"),
    "call text": (text("os.system") + b")R", "no function"),
    "call without arguments": (b"cos\nsystem\nNR", "no function"),
    "state": (b"NNb", "a plain value"),
    "state twice": (b"cos\nsystem\n)R}b}b", "twice"),
    "frame": (b"\x95" + b"\xff" * 8, "frame that is longer"),
    "length": (b"X\xff\xff\xff\x7fabc", "longer than the pickle"),
    "lying length": (b"X\xff\xff\0\0abc", "longer than the pickle"),
    "negative length": (b"T\xff\xff\xff\xffabc", "longer than the pickle"),
    "text by number": (b"K\x01K\x02\x93", "no text"),
    "protocol": (b"\x80\x63", "unknown protocol"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_tensor_or_pickle_is_refused(name: str, tmp_path: Path) -> None:
    body, words = BAD[name]
    (tmp_path / "m.pt").write_bytes(zipped(pickled(body)))
    assert "Error:" not in assert_refused(tmp_path / "m.pt", words)


def dtype(spelling: str, state: bytes = b"") -> bytes:
    return b"cnumpy\ndtype\n" + text(spelling) + b"\x89\x88\x87R" + state


def array(kind: bytes, shape: bytes, content: bytes, fortran: bytes = b"\x89") -> bytes:
    raw = b"B" + len(content).to_bytes(4, "little") + content
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return made + b"(K\x01" + shape + kind + fortran + raw + b"tb"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (array(dtype("O8"), numbers(1), b"\0" * 8), "objects instead of numbers"),
        (array(dtype("V8"), numbers(1), b"\0" * 8), "objects instead of numbers"),
        (array(dtype("i4"), numbers(3), b"\0" * 8), r"shape (3,) with 8 bytes"),
        (array(dtype("i4"), numbers(1 << 61), b"\0" * 8), "with 8 bytes"),
        (array(dtype("i4"), numbers(-2), b"\0" * 8), "in its shape"),
        (array(dtype("eval('1')"), numbers(2), b"\0" * 8), "unknown type"),
        (array(b"N", numbers(2), b"\0" * 8), "unknown type"),
        (b"cnumpy.core.multiarray\nscalar\n" + dtype("O") + b"N\x86R", "objects instead"),
        (b"cnumpy.core.multiarray\nscalar\n" + dtype("i8") + b"C\x02ab\x86R", "do not fit"),
    ],
)
def test_a_bad_array_is_refused(body: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(zipped(pickled(body)))
    assert "Error:" not in assert_refused(tmp_path / "m.pt", words)


def old(of: bytes) -> bytes:
    return pickled(tensor(of))


def test_parts_of_storages_in_the_old_format(tmp_path: Path) -> None:
    part = legacy_storage(count=8, part=b"(" + text("v") + b"K\x02K\x06t")
    floats = struct.pack("<8f", *range(8))
    tree = read(tmp_path / "m.pt", legacy(old(part), ["0"], counted(floats))).tree
    assert isinstance(tree, torch.Tensor)
    assert tree.tolist() == [[2, 3, 4], [5, 6, 7]]


ONE = old(legacy_storage())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (legacy(ONE, ["0"], counted(SIX), magic=1), "torch.save did not write"),
        (legacy(ONE, ["0"], counted(SIX), magic="x"), "torch.save did not write"),
        (pickled(text("hello")), "torch.save did not write"),
        (legacy(ONE, ["0"], counted(SIX), version=1002), "unknown version"),
        (legacy(ONE, [], counted(SIX)), "other storages"),
        (legacy(ONE, ["0", "0"], counted(SIX)), "other storages"),
        (legacy(ONE, ["1"], counted(SIX)), "other storages"),
        (legacy(ONE, [0], counted(SIX)), "no list of its storages"),
        (legacy(ONE, ["0"], counted(SIX[:-4])), "another length"),
        (legacy(ONE, ["0"], counted(SIX)[:-1]), "another length"),
        (legacy(ONE, ["0"], b"\xff" * 8 + SIX), "another length"),
        (legacy(old(legacy_storage(count=1 << 40)), ["0"], SIX), "larger than the file"),
        (legacy(old(legacy_storage(count=-1)), ["0"], SIX), "unknown kind of name"),
        (
            legacy(old(legacy_storage(part=b"(" + text("v") + b"K\x01K\x06t")), ["0"], SIX),
            "larger than the storage",
        ),
        (
            legacy(old(legacy_storage(part=b"(" + text("v") + whole(-1) + b"K\x06t")), ["0"], SIX),
            "that is none",
        ),
        (legacy(pickled(b"K\x01Q"), [], b""), "unknown kind of name"),
    ],
)
def test_a_bad_file_of_the_old_format_is_refused(
    content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    assert "Error:" not in assert_refused(tmp_path / "m.pt", words)


def test_a_storage_that_is_used_outside_of_the_pickle_is_refused(tmp_path: Path) -> None:
    first = pickled(legacy_storage())
    (tmp_path / "m.pt").write_bytes(first)
    assert_refused(tmp_path / "m.pt", "where none can be")


def test_other_values_than_0_and_1_become_bools(tmp_path: Path) -> None:
    of = b"(" + text("storage") + b"ctorch\nBoolStorage\n" + text("0") + text("cpu") + b"K\x06"
    flags = bytes([0, 1, 2, 255, 0, 3])
    new = read(tmp_path / "m.pt", zipped(pickled(tensor(of + b"tQ")), {"0": flags})).tree
    before = read(tmp_path / "m.pt", legacy(old(of + b"NtQ"), ["0"], counted(flags, 1))).tree
    for tree in (new, before):
        assert isinstance(tree, torch.Tensor)
        raw = tree.contiguous().view(torch.uint8).tolist()
        assert raw == [[0, 1, 1], [1, 0, 1]]
