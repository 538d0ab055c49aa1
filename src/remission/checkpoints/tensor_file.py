"""Safetensors files, whose headers are checked before the library sees them."""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from remission.checkpoints.limits import LARGEST, TENSORS, Budget, Refusal

_HEADER = 16 << 20  # bytes; 300 tensors need about 30,000
_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


def is_safetensors(content: mmap.mmap) -> bool:
    """Tells whether a file begins as a safetensors file does, whatever its header says."""
    return len(content) >= 10 and content[8:9] == b"{" and content[5:8] == b"\0\0\0"


def read_safetensors(
    content: mmap.mmap, file: Path, budget: Budget
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns the tensors of a file, and its metadata.

    Args:
        content: the file, for its header.
        file: its path, for the library.
        budget: counts the tensors.

    Raises:
        Refusal: the header is damaged, or does not fit the file.
    """
    header, start = _header(content)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise Refusal("has metadata that are no text")
    _check_tensors(header, len(content) - start, budget)
    tensors: dict[str, Tensor] = {}
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            for name in header:
                tensors[name] = opened.get_tensor(name)
    except safetensors.SafetensorError as error:
        raise Refusal(f"is no whole safetensors file ({error})") from None
    return {name: _plain(tensor) for name, tensor in tensors.items()}, metadata


def _header(content: mmap.mmap) -> tuple[dict[str, object], int]:
    """Returns the header of a file, and where its tensors begin."""
    size = int.from_bytes(content[:8], "little")
    if size > min(_HEADER, len(content) - 8):
        raise Refusal("has a header that is longer than the file, or than any header needs")
    try:
        header = json.loads(content[8 : 8 + size], object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"has a header that is no JSON ({str(error)[:100]})") from None
    if not isinstance(header, dict):
        raise Refusal("has a header that is no table")
    return header, 8 + size


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _check_tensors(header: dict[str, object], room: int, budget: Budget) -> None:
    """Refuses tensors that overlap, leave gaps, or have other lengths than their shapes say."""
    if len(header) > TENSORS:
        raise Refusal(f"holds more than {TENSORS} tensors")
    ranges = []
    for name, entry in header.items():
        problem = f"has a header that lies about {name[:100]!r}"
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise Refusal(problem)
        bits = _BITS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        if bits is None:
            raise Refusal(f"{problem}: it has the unknown type {str(entry['dtype'])[:20]!r}")
        start, end = _numbers(entry["data_offsets"], problem, 2)
        shape = _numbers(entry["shape"], problem)
        if math.prod(n for n in shape if n) >= LARGEST:
            raise Refusal(problem)
        count = math.prod(shape) * bits // 8
        if end - start != count:
            raise Refusal(f"{problem}: its shape needs {count} bytes, it has {end - start}")
        budget.tensor(count)
        ranges.append((start, end))
    place = 0
    for start, end in sorted(ranges):
        if start != place:
            raise Refusal("has a header whose tensors overlap or leave gaps")
        place = end
    if place != room:
        raise Refusal(f"has a header for {place} bytes of tensors, but holds {room}")


def _numbers(values: object, problem: str, count: int | None = None) -> list[int]:
    if not isinstance(values, list) or (count is not None and len(values) != count):
        raise Refusal(problem)
    if len(values) > 32 or not all(type(n) is int and 0 <= n < LARGEST for n in values):
        raise Refusal(problem)
    return values


def _plain(tensor: Tensor) -> Tensor:
    """Other values than 0 and 1 in a bool are undefined behaviour in C++."""
    return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor
