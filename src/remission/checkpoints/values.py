"""What a file holds once it is read: plain values, tensors, and stand-ins for everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Container = Literal["safetensors", "zip", "legacy"]
"""How a file is built: safetensors, torch.save's archive since 1.6, or its format before that."""


@dataclass(eq=False, slots=True, repr=False)
class Opaque:
    """Stands in for a class or function that a file names, or for what a call of it would give.

    Nothing was imported and nothing was called. All fields are plain values, tensors, or stand-ins.

    Args:
        module: where the file says that it is defined.
        name: its qualified name there.
        args: what the file would call it with; keyword arguments are a dict at the end. None where
            the file only names it.
        state: what the file would set its attributes from, mostly a dict.
        items: what the file would append to it.
        entries: what the file would assign to its keys.
    """

    module: str
    name: str
    args: tuple[object, ...] | None = None
    state: object = None
    items: list[object] | None = None
    entries: dict[object, object] | None = None

    @property
    def fields(self) -> dict[str, object]:
        """The attributes by their names, those in ``__slots__`` too."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        return {
            name: value
            for part in parts
            if isinstance(part, dict)
            for name, value in part.items()
            if isinstance(name, str)
        }

    def __repr__(self) -> str:
        called = "" if self.args is None else "(...)"
        return f"<stand-in for {self.module}.{self.name}{called}>"


@dataclass(eq=False, slots=True, repr=False)
class Storage(Opaque):
    """Stands in for a storage of torch, whose bytes are known.

    Args:
        flat: (bytes,) uint8.
        dtype: the type of its elements.
    """

    flat: Tensor = field(kw_only=True)
    dtype: torch.dtype = field(kw_only=True)


@dataclass(eq=False, slots=True, repr=False)
class Unbuilt(Opaque):
    """Stands in for an array of numpy until the file gives its content.

    Args:
        places: where the pickle has put it, to be replaced by the array.
    """

    places: list[int] = field(kw_only=True, default_factory=list)


@dataclass(frozen=True, eq=False)
class Loaded:
    """The content of a file.

    Args:
        tree: dict, list, tuple, set, frozenset, str, bytes, int, float, complex, bool, None, slice,
            :class:`torch.Tensor` on the CPU, :class:`torch.dtype`, :class:`torch.device` and
            :class:`Opaque`. Dicts, lists and tuples never contain themselves, but the state of a
            stand-in may lead back to it. Containers are nested 300 deep at most.
        container: how the file is built.
        metadata: of a safetensors file.

    The tensors may be mapped from the file, which must not be shortened while they are in use.
    Writing to them changes memory alone. :func:`remission.checkpoints.copied` makes them
    independent of it.
    """

    tree: object
    container: Container
    metadata: dict[str, str] = field(default_factory=dict)
