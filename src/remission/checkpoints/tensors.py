"""Tensors over the storages of a file: nothing outside of a storage is ever part of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from remission.checkpoints.limits import DIMENSIONS, LARGEST, Budget, Refusal
from remission.checkpoints.machine import Content
from remission.checkpoints.values import Opaque, Storage

_NAMES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Untyped": torch.uint8,
    # What quantised tensors are stored as. The tensors themselves remain stand-ins.
    "QInt8": torch.int8,
    "QUInt8": torch.uint8,
    "QInt32": torch.int32,
    "QUInt4x2": torch.uint8,
    "QUInt2x4": torch.uint8,
}
_PUBLIC = """
    float64 double float32 float float16 half bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz
    float8_e5m2fnuz float8_e8m0fnu int64 long int32 int int16 short int8 uint8 uint16 uint32 uint64
    bool complex128 cdouble complex64 cfloat complex32 chalf
"""
DTYPES = {
    name: value
    for name in _PUBLIC.split()
    if isinstance(value := getattr(torch, name, None), torch.dtype)
}
"""The types of elements that tensors may have, by torch's names."""


def dtype_of_storage(kind: object) -> torch.dtype:
    """Returns the type of the elements of a storage.

    Args:
        kind: the stand-in for its class: ``torch.FloatStorage`` and the like.

    Raises:
        Refusal: torch has no such class.
    """
    if isinstance(kind, Opaque) and kind.module.split(".")[0] == "torch":
        dtype = _NAMES.get(kind.name.removesuffix("Storage"))
        if dtype is not None and kind.name.endswith("Storage"):
            return dtype
    raise Refusal(f"holds a storage of an unknown class, {kind!r:.200}")


def mapped(content: Content, start: int, count: int) -> Tensor:
    """Returns (count,) uint8 over bytes of the file, without copying them.

    Args:
        content: a private mapping of the file, or bytes, which are copied.
        start: the place of the first byte.
        count: how many, which must be there.
    """
    if count == 0:
        return torch.empty(0, dtype=torch.uint8)
    if isinstance(content, bytes):
        return torch.frombuffer(bytearray(content[start : start + count]), dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8, count=count, offset=start)


def usable(flat: Tensor, dtype: torch.dtype, budget: Budget, *, swapped: bool = False) -> Tensor:
    """Returns bytes that can be viewed as ``dtype``: copies what is not aligned or in order.

    Args:
        flat: (bytes,) uint8, a multiple of the size of ``dtype``.
        dtype: the type of the elements.
        budget: counts the copy.
        swapped: the bytes of each number are in the other order than this computer's.
    """
    if dtype == torch.bool:
        # Other values than 0 and 1 in a bool are undefined behaviour in C++.
        budget.memory(len(flat))
        return (flat != 0).to(torch.uint8)
    width = dtype.itemsize // (2 if dtype.is_complex else 1)
    if swapped and width > 1:
        budget.memory(len(flat))
        return flat.reshape(-1, width).flip(1).reshape(-1)
    if flat.data_ptr() % dtype.itemsize:
        budget.memory(len(flat))
        return flat.clone()
    return flat


def view(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    dtype: torch.dtype | None,
    budget: Budget,
) -> Tensor:
    """Returns the tensor of a storage that torch would rebuild.

    Args:
        storage: where its elements are.
        offset: place of the first element in the storage, in elements.
        size: the shape.
        stride: distances between neighbours along each dimension, in elements.
        dtype: the type of the elements; None for that of the storage.
        budget: counts the tensor.

    Raises:
        Refusal: a part of it would be outside of the storage.
    """
    if not isinstance(storage, Storage):
        raise Refusal("rebuilds a tensor from what is no storage")
    dtype = dtype or storage.dtype
    shape, steps, (first,) = whole(size), whole(stride), whole((offset,))
    if len(shape) != len(steps) or len(storage.flat) % dtype.itemsize:
        raise Refusal("holds a tensor whose size does not fit its stride or its type")
    extent = 0
    if 0 not in shape:
        extent = 1 + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if (first + extent) * dtype.itemsize > len(storage.flat):
        raise Refusal(f"holds a tensor of shape {shape} that is larger than its storage")
    if math.prod(n for n in shape if n) * dtype.itemsize >= LARGEST:
        raise Refusal(f"holds a tensor of shape {shape}, which no computer can hold")
    budget.tensor(math.prod(shape) * dtype.itemsize)
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bool != storage.dtype:
        raise Refusal("holds a tensor of truth values in a storage of another type")
    raw = storage.flat if dtype == storage.dtype else usable(storage.flat, dtype, budget)
    flat = raw.view(dtype)
    # torch counts from the beginning of the memory, of which the storage may be a part.
    return flat.as_strided(shape, steps, flat.storage_offset() + first)


def whole(values: object) -> tuple[int, ...]:
    """Returns numbers that may be a size, a stride or an offset.

    Raises:
        Refusal: they are too many, negative, too large, or no whole numbers.
    """
    if not isinstance(values, list | tuple):
        raise Refusal("holds a tensor without a shape")
    if len(values) > DIMENSIONS:
        raise Refusal(f"holds a tensor of more than {DIMENSIONS} dimensions")
    numbers = []
    for value in values:
        if type(value) is not int or not 0 <= value < LARGEST:
            raise Refusal(f"holds a tensor with {value!r:.40} in its shape, stride or offset")
        numbers.append(value)
    return tuple(numbers)


def dense(content: bytes, dtype: torch.dtype, shape: Sequence[int], budget: Budget) -> Tensor:
    """Returns a tensor of its own from the bytes of its elements, in C's order.

    Raises:
        Refusal: the bytes are not as many as the shape asks for.
    """
    count = math.prod(shape) * dtype.itemsize
    if count != len(content):
        raise Refusal(f"holds an array of shape {tuple(shape)} with {len(content)} bytes")
    budget.tensor(count)
    budget.memory(count)
    if count == 0:
        return torch.empty(tuple(shape), dtype=dtype)
    flat = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return usable(flat, dtype, budget).view(dtype).reshape(tuple(shape))


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns contiguous copies, which are independent of the file and of each other.

    Args:
        tensors: any, by their names.
    """
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
