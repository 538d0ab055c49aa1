"""Tensors that may be larger than memory: they lie in unlinked files that are mapped into it.

A tensor that would take more than its share of the free memory is allocated in a temporary file
whose name is removed at once: the system writes its pages out when memory is short, and nothing is
left behind, however the process ends. It is a plain CPU tensor; only code that allocates another
one of that size has to use this module.

``REMISSION_MEMORY`` sets the limit per tensor in MiB; without it the limit is a quarter of the free
memory. The files lie in ``$TMPDIR``, or else in /var/tmp, which is on a disk where /tmp may be in
memory.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from remission.errors import DataError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_NEVER = 2**31 - 1  # bytes, the largest value that it takes

_SHARE = 4  # one tensor takes at most the free memory divided by this
_CHUNK = 1 << 21  # bytes of images that are worked on at a time
_NUMPY: dict[torch.dtype, type] = {torch.uint8: np.uint8, torch.float32: np.float32}


def allocate(shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> Tensor:
    """Allocates an uninitialised CPU tensor, in a mapped file if it is large.

    Args:
        shape: the shape of the tensor.
        dtype: uint8 or float32.

    Raises:
        DataError: neither memory nor the temporary folder has room for it.
    """
    needed = math.prod(shape) * dtype.itemsize
    limit = memory_limit()
    if limit is None or needed <= limit:
        return torch.empty(tuple(shape), dtype=dtype)
    return torch.from_numpy(np.frombuffer(_mapped(needed), _NUMPY[dtype]).reshape(shape))


def keep_freed_blocks() -> None:
    """Lets this process reuse the memory that it frees, for training and measuring on a processor.

    glibc hands large blocks back to the system as soon as they are freed, and every new activation
    map then faults in its pages anew, thousands per step: docs/notes.md says what that costs. With
    any other C library nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(_M_TRIM_THRESHOLD, _NEVER)
        set_option(_M_MMAP_THRESHOLD, _NEVER)


def take(images: Tensor, index: Tensor) -> Tensor:
    """Copies ``images[index]`` for indices (n,) or a mask (N,), which may be on any device."""
    index = index.to(images.device)
    if index.dtype == torch.bool:
        index = index.nonzero().flatten()
    if images.device.type != "cpu":
        return images[index]
    selected = allocate((len(index), *images.shape[1:]), images.dtype)
    for part in chunks(selected):
        torch.index_select(images, 0, index[part], out=selected[part])
    return selected


def copy(images: Tensor) -> Tensor:
    """Copies ``images`` on their device; on the CPU into a mapped file if they are large."""
    if images.device.type != "cpu":
        return images.clone()
    duplicate = allocate(images.shape, images.dtype)
    for part in chunks(images):
        duplicate[part] = images[part]
    return duplicate


def fits(images: Tensor, device: torch.device | str) -> bool:
    """Tells whether ``images`` fit on ``device``; half of an accelerator's memory is left free."""
    goal = torch.device(device)
    if goal.type != "cuda" or images.device.type == "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(goal)
    return images.numel() * images.element_size() <= free // 2


def at_once(images: Tensor) -> int:
    """Returns how many ``images`` to work on at a time, since all may be larger than memory."""
    one = max(1, math.prod(images.shape[1:]) * images.element_size())
    return max(1, _CHUNK // one)


def chunks(images: Tensor) -> Iterator[slice]:
    """Yields slices of the first dimension: together all of ``images``, none of them large."""
    step = at_once(images)
    for start in range(0, len(images), step):
        yield slice(start, start + step)


def memory_limit() -> int | None:
    """Returns how many bytes one tensor may take in memory; None where the system does not say.

    Raises:
        DataError: ``REMISSION_MEMORY`` is no number.
    """
    if text := os.environ.get("REMISSION_MEMORY"):
        if not text.isdecimal():
            raise DataError(f"REMISSION_MEMORY is '{text}'", "give a whole number of MiB")
        return int(text) << 20
    free = free_memory()
    return None if free is None else free // _SHARE


def free_memory() -> int | None:
    """Returns the free memory in bytes; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _mapped(needed: int) -> mmap.mmap:
    """Maps ``needed`` writable bytes of a file without a name."""
    folder = _folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # The blocks are reserved now: a write into a file that lacks them kills the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed)
            else:
                file.truncate(needed)
            return mmap.mmap(file.fileno(), needed)
    except (OSError, OverflowError) as error:
        raise DataError(
            f"{_amount(needed)} of images fit neither into memory nor into {folder} "
            f"({getattr(error, 'strerror', None) or error})",
            "make room, set TMPDIR to a folder that has it, use a smaller size or fewer images",
        ) from None


def _amount(count: int) -> str:
    """Returns ``count`` bytes in a unit in which they come to 1 at least."""
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << bits:
            return f"{count / (1 << bits):.1f} {unit}"
    return f"{count} bytes"


def _folder() -> str:
    if not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()
