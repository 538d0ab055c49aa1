"""The IDX format of MNIST and its successors: a magic number, the dimensions, the values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remission.errors import DataError

_UINT8 = 0x08


def parse_idx(content: bytes, name: str, *, dims: int) -> NDArray[np.uint8]:
    """Parses decompressed IDX content into an array of uint8 with ``dims`` dimensions.

    The content must be the magic number 00 00 08 ``dims``, big-endian 32-bit lengths, and exactly
    as many values as these say.

    Raises:
        DataError: the content is anything else; the message calls the file ``name``.
    """
    start = 4 + 4 * dims
    magic = bytes((0, 0, _UINT8, dims))
    if content[:4] != magic or len(content) < start:
        raise DataError(
            f"{name} starts with {content[:4].hex(' ') or 'nothing'} where an IDX file of bytes in "
            f"{dims} dimension(s) starts with {magic.hex(' ')}",
            "fetch the file again",
        )
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = 1
    for length in shape:
        expected *= length  # Python's integers: no overflow, whatever the header says
    if len(content) - start != expected:
        raise DataError(
            f"{name} holds {len(content) - start} values where its header says {expected}",
            "fetch the file again",
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
