"""Checkpoints that tests write by hand, byte by byte, and what must come of reading them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from remission.checkpoints import Loaded, read_checkpoint
from remission.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C
FLOATS = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
    """The operation that pushes a text."""
    content = value.encode()
    return b"X" + len(content).to_bytes(4, "little") + content


def whole(value: int) -> bytes:
    """The operation that pushes an integer."""
    content = value.to_bytes(max(1, value.bit_length() // 8 + 1), "little", signed=True)
    return b"\x8a" + len(content).to_bytes(1, "little") + content


def numbers(*values: int) -> bytes:
    """The operations that push a tuple of integers."""
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(key: str = "0", count: int = 6, kind: str = "torch\nFloatStorage") -> bytes:
    """The operations that push a storage, as an archive refers to it."""
    name = f"c{kind}\n".encode()
    return b"(" + text("storage") + name + text(key) + text("cpu") + whole(count) + b"tQ"


def tensor(
    of: bytes | None = None,
    offset: bytes = b"K\x00",
    size: bytes = numbers(2, 3),
    stride: bytes = numbers(3, 1),
) -> bytes:
    """The operations that push a tensor."""
    of = storage() if of is None else of
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + of + offset + size + stride + hooks + b"tR"


def pickled(body: bytes) -> bytes:
    """A pickle of protocol 2 around operations."""
    return b"\x80\x02" + body + b"."


SIX = b"".join(i.to_bytes(4, "little") for i in range(6))
"""The bytes of six small float32."""


def zipped(
    data: bytes, storages: Mapping[str, bytes] | None = None, *, compression: int = 0
) -> bytes:
    """An archive with a pickle and its storages."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        for key, content in ({"0": SIX} if storages is None else storages).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def entries(content: Mapping[str, bytes], *, compression: int = 0) -> bytes:
    """An archive with any entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return stream.getvalue()


def legacy(
    data: bytes,
    keys: Sequence[object] = (),
    storages: bytes = b"",
    *,
    magic: object = MAGIC,
    version: object = 1001,
) -> bytes:
    """A file in the format before torch 1.6."""
    first = [magic, version, {"protocol_version": 1001, "little_endian": True}]
    head = b"".join(pickle.dumps(value, 2) for value in first)
    return head + data + pickle.dumps(list(keys), 2) + storages


def legacy_storage(key: str = "0", count: int = 6, part: bytes = b"N") -> bytes:
    """The operations that push a storage, as the old format refers to it."""
    name = b"ctorch\nFloatStorage\n"
    return b"(" + text("storage") + name + text(key) + text("cpu") + whole(count) + part + b"tQ"


def counted(content: bytes, width: int = 4) -> bytes:
    """A storage of the old format: the number of its elements, and its bytes."""
    return (len(content) // width).to_bytes(8, "little") + content


def safetensors(header: object, content: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + content


def read(file: Path, content: bytes) -> Loaded:
    """Writes a file and reads it."""
    file.write_bytes(content)
    return read_checkpoint(file)


def assert_refused(file: Path, *words: str) -> str:
    """Checks that one line refuses a file by its name, and says what to do."""
    with pytest.raises(UserError) as caught:
        read_checkpoint(file)
    line = str(caught.value)
    assert str(file) in line
    assert "\n" not in line
    assert caught.value.remedy
    for word in words:
        assert word in line
    return line
