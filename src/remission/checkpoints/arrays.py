"""Arrays and numbers of numpy inside a pickle. Arrays of objects are refused."""

from __future__ import annotations

import re
import struct

import torch
from torch import Tensor

from remission.checkpoints.limits import Budget, Refusal
from remission.checkpoints.tensors import dense, whole
from remission.checkpoints.values import Opaque

_KINDS = {
    "b1": torch.bool,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "u2": torch.uint16,
    "u4": torch.uint32,
    "u8": torch.uint64,
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "c8": torch.complex64,
    "c16": torch.complex128,
}
_FLOATS = {"f2": "e", "f4": "f", "f8": "d", "c8": "ff", "c16": "dd"}
_SPELLING = re.compile(r"[<>=|]?([a-zA-Z])([0-9]{0,9})")


class _Kind:
    """A type of numpy.

    Args:
        name: kind and bytes: ``f8``.
        big: the most significant byte comes first.
    """

    def __init__(self, name: str, *, big: bool) -> None:
        self.name = name
        self.big = big

    def ordered(self, content: bytes) -> bytes:
        """Returns the bytes of elements in little-endian order."""
        width = _KINDS[self.name].itemsize // (2 if self.name[0] == "c" else 1)
        if not self.big or width == 1 or len(content) % width:
            return content
        flat = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return bytes(flat.reshape(-1, width).flip(1).reshape(-1).numpy().tobytes())


def number(dtype: object, value: object) -> bool | int | float | complex | None:
    """Returns a scalar of numpy as a number of Python; None where it is text or a time.

    Args:
        dtype: the stand-in for its type.
        value: its bytes.

    Raises:
        Refusal: it holds an object, or its bytes do not fit its type.
    """
    kind = _kind(dtype)
    if kind is None:
        return None
    content = kind.ordered(_raw(value))
    if len(content) != _KINDS[kind.name].itemsize:
        raise Refusal("holds a number of numpy whose bytes do not fit its type")
    if kind.name == "b1":
        return content != b"\0"
    if kind.name[0] in "iu":
        return int.from_bytes(content, "little", signed=kind.name[0] == "i")
    parts = struct.unpack("<" + _FLOATS[kind.name], content)
    return complex(*parts) if len(parts) == 2 else float(parts[0])


def array(
    dtype: object, shape: object, content: object, budget: Budget, *, fortran: bool
) -> Tensor | None:
    """Returns an array of numpy as a tensor; None where it holds text or times.

    Args:
        dtype: the stand-in for its type.
        shape: its shape.
        content: its bytes.
        budget: counts it.
        fortran: the first index runs fastest.

    Raises:
        Refusal: it holds objects, or its bytes do not fit its shape.
    """
    kind = _kind(dtype)
    if kind is None:
        return None
    sizes = whole(shape)
    raw = _raw(content)
    budget.memory(3 * len(raw) if kind.big else 0)
    ordered = kind.ordered(raw)
    if not fortran:
        return dense(ordered, _KINDS[kind.name], sizes, budget)
    turned = dense(ordered, _KINDS[kind.name], sizes[::-1], budget)
    return turned.permute(*reversed(range(len(sizes))))


def _kind(dtype: object) -> _Kind | None:
    """Returns the type that a stand-in describes; None for text and times."""
    args = dtype.args if isinstance(dtype, Opaque) else None
    match = _SPELLING.fullmatch(args[0]) if args and isinstance(args[0], str) else None
    if not isinstance(dtype, Opaque) or dtype.name != "dtype" or match is None:
        raise Refusal("holds an array of numpy of an unknown type")
    letter, size = match.groups()
    if letter in "OV":
        raise Refusal(
            "holds an array of numpy with objects instead of numbers",
            "where you trust it, save the model alone, without that array",
        )
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else ""
    name = letter + size
    return _Kind(name, big=order == ">" or match[0][0] == ">") if name in _KINDS else None


def _raw(content: object) -> bytes:
    """Returns bytes; Python 2 wrote them as text."""
    if isinstance(content, str):
        return content.encode()
    if not isinstance(content, bytes):
        raise Refusal("holds an array of numpy without its bytes")
    return content
