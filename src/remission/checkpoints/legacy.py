"""Checkpoints in the format that torch.save wrote before 1.6: five pickles, then the storages."""

from __future__ import annotations

import mmap

import torch

from remission.checkpoints.limits import LARGEST, Budget, Refusal
from remission.checkpoints.meanings import Inert, NoStorages
from remission.checkpoints.operations import walk
from remission.checkpoints.tensors import dtype_of_storage, mapped
from remission.checkpoints.values import Opaque, Storage

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_legacy(content: mmap.mmap, budget: Budget) -> object:
    """Returns the values of a file in the old format.

    Args:
        content: the file.
        budget: counts what is read.

    Raises:
        Refusal: the file is damaged, was not written by torch.save, or does what no checkpoint
            needs.
    """
    end = len(content)
    nothing = Inert(NoStorages(), budget)
    magic, place = walk(content, 0, min(end, 1 << 10), nothing)
    if type(magic) is not int or magic != _MAGIC:
        raise Refusal(
            "is a pickle that torch.save did not write",
            "where you trust it, load it and save its state_dict() by torch.save",
        )
    version, place = walk(content, place, end, nothing)
    if type(version) is not int or version != _PROTOCOL:
        raise Refusal("is a checkpoint of an unknown version")
    _, place = walk(content, place, end, nothing)  # the sizes of numbers where it was written
    storages = _LegacyStorages(len(content))
    value, place = walk(content, place, end, Inert(storages, budget))
    keys, place = walk(content, place, end, nothing)
    storages.fill(keys, content, place)
    return value


class _LegacyStorages:
    """The storages of a file. Their bytes are behind the pickle, and are copied when it is read.

    Args:
        size: bytes of the file; all storages together have fewer.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._roots: dict[str, Storage] = {}

    def find(self, identity: tuple[object, ...]) -> Storage | Opaque:
        """Returns the storage of ``("storage", class, key, device, elements, part)``.

        ``("module", class, file, source)`` is a class, beside the source of its program.
        """
        if identity[0] == "module" and len(identity) == 4 and isinstance(identity[1], Opaque):
            return identity[1]
        if identity[0] != "storage" or len(identity) != 6:
            raise Refusal("refers to a storage by an unknown kind of name")
        _, kind, key, _, count, part = identity
        dtype = dtype_of_storage(kind)
        if not isinstance(key, str) or type(count) is not int or not 0 <= count < LARGEST:
            raise Refusal("refers to a storage by an unknown kind of name")
        root = self._roots.get(key)
        if root is None:
            self._left -= count * dtype.itemsize
            if self._left < 0:
                raise Refusal("describes storages that are larger than the file")
            flat = torch.empty(count * dtype.itemsize, dtype=torch.uint8)
            root = Storage("torch", "UntypedStorage", (), flat=flat, dtype=dtype)
            self._roots[key] = root
        if root.dtype != dtype or len(root.flat) != count * dtype.itemsize:
            raise Refusal(f"has a storage {key[:100]!r} of two types or sizes")
        return root if part is None else _part(root, part)

    def fill(self, keys: object, content: mmap.mmap, place: int) -> None:
        """Copies the bytes of all storages.

        Args:
            keys: of the storages, in the order of the file.
            content: the file.
            place: where the first storage begins: 8 bytes say how many elements follow.

        Raises:
            Refusal: the file lacks a storage, or has another number of elements in it.
        """
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Refusal("has no list of its storages")
        if len(keys) != len(self._roots) or set(keys) != self._roots.keys():
            raise Refusal("lists other storages than its tensors need")
        for key in keys:
            root = self._roots[key]
            size = len(root.flat)
            count = int.from_bytes(content[place : place + 8], "little")
            place += 8
            if count * root.dtype.itemsize != size or place + size > len(content):
                raise Refusal(f"has a storage {key[:100]!r} of another length than its tensors say")
            source = mapped(content, place, size)
            # Other values than 0 and 1 in a bool are undefined behaviour in C++.
            root.flat.copy_(source != 0 if root.dtype == torch.bool else source)
            place += size


def _part(root: Storage, part: object) -> Storage:
    """Returns the part of a storage that ``(key, first element, elements)`` describes."""
    if not isinstance(part, tuple) or len(part) != 3:
        raise Refusal("refers to a part of a storage by an unknown kind of name")
    _, first, count = part
    width = root.dtype.itemsize
    if type(first) is not int or type(count) is not int or first < 0 or count < 0:
        raise Refusal("refers to a part of a storage that is none")
    if (first + count) * width > len(root.flat):
        raise Refusal("refers to a part of a storage that is larger than the storage")
    flat = root.flat[first * width : (first + count) * width]
    return Storage("torch", "UntypedStorage", (), flat=flat, dtype=root.dtype)
