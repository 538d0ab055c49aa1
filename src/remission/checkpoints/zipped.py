"""Checkpoints in the format that torch.save writes since 1.6: a pickle beside its storages."""

from __future__ import annotations

import mmap
import sys

import torch

from remission.checkpoints.archive import CheckedArchive
from remission.checkpoints.limits import Budget, Refusal
from remission.checkpoints.meanings import Inert
from remission.checkpoints.operations import walk
from remission.checkpoints.tensors import dtype_of_storage, mapped, usable
from remission.checkpoints.values import Opaque, Storage


def read_zipped(content: mmap.mmap, budget: Budget) -> object:
    """Returns the values of an archive.

    Args:
        content: the file, mapped privately: tensors lie in it.
        budget: counts what is read.

    Raises:
        Refusal: the archive is damaged, was not written by torch.save, or does what no checkpoint
            needs.
    """
    archive = CheckedArchive(content, budget)
    names = archive.entries.keys()
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise Refusal(
            "is a TorchScript archive, a program that would have to be executed",
            "where you trust it, load it by torch.jit.load and save its state_dict() by torch.save",
        )
    if "data.pkl" not in names:
        raise Refusal(
            "is a zip archive, but none that torch.save wrote",
            "unpack it, or give the file that torch.save wrote",
        )
    data, start, end = archive.read("data.pkl")
    inert = Inert(_ZipStorages(archive, _order(archive), budget), budget)
    value, stop = walk(data, start, end, inert)
    if stop != end:
        raise Refusal("holds a pickle with something behind its end")
    return value


def _order(archive: CheckedArchive) -> str:
    """Returns the order of the bytes of numbers; torch before 2.1 did not write it down."""
    if "byteorder" not in archive.entries:
        return "little"
    data, start, end = archive.read("byteorder")
    order = bytes(data[start : min(end, start + 10)])
    if order not in (b"little", b"big"):
        raise Refusal("has an unknown order of bytes")
    return order.decode()


class _ZipStorages:
    """The storages of an archive, each read once.

    Args:
        archive: holds them as ``data/KEY``.
        order: of the bytes of numbers: little or big.
        budget: counts what is copied.
    """

    def __init__(self, archive: CheckedArchive, order: str, budget: Budget) -> None:
        self._archive = archive
        self._swapped = order != sys.byteorder
        self._budget = budget
        self._read: dict[tuple[str, torch.dtype | None], Storage] = {}

    def find(self, identity: tuple[object, ...]) -> Storage | Opaque:
        """Returns the storage of ``("storage", class, key, device, elements)``."""
        if len(identity) != 5 or identity[0] != "storage":
            raise Refusal("refers to a storage by an unknown kind of name")
        _, kind, key, _, count = identity
        dtype = dtype_of_storage(kind)
        if not isinstance(key, str) or type(count) is not int:
            raise Refusal("refers to a storage by an unknown kind of name")
        # Types whose bytes need no change share one storage, as they do in torch.
        changed = self._swapped or dtype == torch.bool
        place = (key, dtype if changed else None)
        known = self._read.get(place)
        entry = self._archive.entries.get(f"data/{key}")
        if entry is None or entry.size != count * dtype.itemsize:
            raise Refusal(
                f"lacks the storage {key[:100]!r}"
                if entry is None
                else f"has a storage {key[:100]!r} of {entry.size} bytes instead of "
                f"{count} elements"
            )
        if known is None:
            data, start, _ = self._archive.read(f"data/{key}")
            flat = mapped(data, start, entry.size)
            flat = usable(flat, dtype, self._budget, swapped=self._swapped)
            known = Storage("torch", "UntypedStorage", (), flat=flat, dtype=dtype)
            self._read[place] = known
        if known.dtype == dtype:
            return known
        if known.flat.data_ptr() % dtype.itemsize:
            raise Refusal(f"has a storage {key[:100]!r} of two types, which is not aligned")
        return Storage("torch", "UntypedStorage", (), flat=known.flat, dtype=dtype)
