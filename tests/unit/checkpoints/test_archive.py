"""Archives whose directory lies, and what common packers make of a checkpoint."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from remission.checkpoints import read_checkpoint
from tests.unit.checkpoints.files import (
    SIX,
    assert_refused,
    entries,
    numbers,
    pickled,
    read,
    storage,
    tensor,
    zipped,
)

GOOD = zipped(pickled(tensor()))
DATA = pickled(tensor())
LOCAL = GOOD.index(b"PK\3\4")
CENTRAL = GOOD.index(b"PK\1\2")


def patched(at: int, form: str, value: int, content: bytes = GOOD) -> bytes:
    """An archive with one number of a header changed."""
    changed = bytearray(content)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def last(mark: bytes, content: bytes = GOOD) -> int:
    return content.rindex(mark)


def test_a_good_one(tmp_path: Path) -> None:
    tree = read(tmp_path / "m.pt", GOOD).tree
    assert isinstance(tree, torch.Tensor)
    assert tree.view(torch.int32).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_packed_again(tmp_path: Path) -> None:
    """Somebody unpacked it and packed it again, with compression and folders."""
    value = torch.randn(1000)
    torch.save({"w": value}, tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt") as archive:
        parts = {"m/": b""} | {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "n.pt").write_bytes(entries(parts, compression=zipfile.ZIP_DEFLATED))
    tree = read_checkpoint(tmp_path / "n.pt").tree
    assert isinstance(tree, dict)
    assert torch.equal(tree["w"], value)


def test_big_endian(tmp_path: Path) -> None:
    parts = {"a/data.pkl": DATA, "a/byteorder": b"big"}
    parts["a/data/0"] = b"".join(i.to_bytes(4, "big") for i in range(6))
    tree = read(tmp_path / "m.pt", entries(parts)).tree
    assert isinstance(tree, torch.Tensor)
    assert tree.view(torch.int32).tolist() == [[0, 1, 2], [3, 4, 5]]


def doubled() -> bytes:
    stream = io.BytesIO(GOOD)
    with pytest.warns(UserWarning), zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("archive/data.pkl", DATA)
    return stream.getvalue()


def overlapping() -> bytes:
    """Two entries of the directory lead to the same bytes."""
    first = GOOD.index(b"PK\1\2")
    second = GOOD.index(b"PK\1\2", first + 1)
    return patched(second + 42, "<I", 0)


BAD = {
    "encrypted": (patched(CENTRAL + 8, "<H", 1), "encrypted or has unknown flags"),
    "encrypted in the entry": (patched(LOCAL + 6, "<H", 1), "encrypted or has unknown flags"),
    "masked": (patched(CENTRAL + 8, "<H", 0x2000), "encrypted or has unknown flags"),
    "patched": (patched(CENTRAL + 8, "<H", 0x20), "encrypted or has unknown flags"),
    "method": (patched(CENTRAL + 10, "<H", 8), "compressed in an unknown way"),
    "unknown method": (patched(CENTRAL + 10, "<H", 99), "compressed in an unknown way"),
    "size": (patched(CENTRAL + 24, "<I", 3), "two different sizes"),
    "both sizes": (
        patched(CENTRAL + 20, "<I", 3, patched(CENTRAL + 24, "<I", 3)),
        "of another size than its directory says",
    ),
    "long": (
        patched(CENTRAL + 20, "<I", 1 << 30, patched(CENTRAL + 24, "<I", 1 << 30)),
        "of another size",
    ),
    "offset": (patched(CENTRAL + 42, "<I", 7), "bytes in front of its first entry"),
    "far": (patched(last(b"PK\1\2") + 42, "<I", 1 << 30), "behind its directory"),
    "overlapping": (overlapping(), "entries that overlap"),
    "entry's name": (GOOD.replace(b"archive/data.pkl", b"archive/evil.pkl", 1), "not where its"),
    "directory": (patched(last(b"PK\5\6") + 12, "<I", 1 << 30), "no whole zip archive"),
    "twice": (doubled(), "has two entries 'data.pkl'"),
    "in front": (b"PK\3\4" + b"\0" * 60 + GOOD, "bytes in front of its first entry"),
    "no end": (GOOD[:-22], "no whole zip archive"),
    "two folders": (entries({"a/data.pkl": DATA, "b/version": b"3"}), "none that torch.save"),
    "no folder": (entries({"data.pkl": DATA}), "none that torch.save"),
    "no pickle": (entries({"a/x.txt": b"hello"}), "none that torch.save"),
    "outside": (entries({"a/data.pkl": DATA, "a/../../x": b""}), "no plain file"),
    "absolute": (entries({"/a/data.pkl": DATA}), "no plain file"),
    "backslash": (entries({"a/data.pkl": DATA, "a/..\\x": b""}), "no plain file"),
    "script": (entries({"a/data.pkl": DATA, "a/code/x.py": b""}), "TorchScript"),
    "constants": (entries({"a/data.pkl": DATA, "a/constants.pkl": b""}), "TorchScript"),
    "order": (entries({"a/data.pkl": DATA, "a/byteorder": b"middle"}), "order of bytes"),
    "bomb": (
        zipped(DATA, {"0": b"\0" * (40 << 20)}, compression=zipfile.ZIP_DEFLATED),
        "unpacks to more than",
    ),
    "lzma": (zipped(DATA, compression=zipfile.ZIP_LZMA), "compressed in an unknown way"),
    "bzip2": (zipped(DATA, compression=zipfile.ZIP_BZIP2), "compressed in an unknown way"),
    "two pickles": (zipped(DATA + DATA), "something behind its end"),
    "no storage": (zipped(DATA, {"1": SIX}), "lacks the storage '0'"),
    "short storage": (zipped(DATA, {"0": SIX[:-4]}), "of 20 bytes instead of 6 elements"),
    "storage of another": (
        zipped(pickled(tensor(storage("../data.pkl")))),
        "lacks the storage '../data.pkl'",
    ),
    "huge storage": (zipped(pickled(tensor(storage(count=1 << 62)))), "24 bytes instead of"),
    "negative storage": (zipped(pickled(tensor(storage(count=-6)))), "24 bytes instead of"),
    "unknown storage": (
        zipped(pickled(tensor(storage(kind="torch\nEvilStorage")))),
        "storage of an unknown class",
    ),
    "storage of os": (
        zipped(pickled(tensor(storage(kind="os\nFloatStorage")))),
        "storage of an unknown class",
    ),
    "identity": (zipped(pickled(numbers(1, 2) + b"Q")), "unknown kind of name"),
    "text identity": (zipped(pickled(b"P0\n")), "the operation 0x50"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_refused(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    (tmp_path / "m.pt").write_bytes(content)
    assert "Error:" not in assert_refused(tmp_path / "m.pt", words)


def test_a_deflated_entry_that_lies_about_its_size(tmp_path: Path) -> None:
    content = zipped(DATA, compression=zipfile.ZIP_DEFLATED)
    start = content.index(b"PK\1\2")
    for size in (len(DATA) - 1, len(DATA) + 1):
        lying = patched(start + 24, "<I", size, patched(22, "<I", size, content))
        (tmp_path / "m.pt").write_bytes(lying)
        assert_refused(tmp_path / "m.pt", "of another size than its directory says")
