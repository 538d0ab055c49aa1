"""The few classes and functions whose names in a pickle have a meaning.

All others stand for nothing but themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from remission.checkpoints import arrays
from remission.checkpoints.limits import DAMAGED, Budget, Refusal
from remission.checkpoints.machine import check_key
from remission.checkpoints.tensors import DTYPES, view
from remission.checkpoints.values import Opaque, Storage, Unbuilt

Args = tuple[object, ...]
_DEVICE = re.compile(r"[a-z]{1,20}(:[0-9]{1,3})?")
_MULTIARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")


class Storages(Protocol):
    """The storages of one file."""

    def find(self, identity: tuple[object, ...]) -> Storage | Opaque:
        """Returns the storage that a persistent identity means.

        Raises:
            Refusal: the file has no such storage, or it has another length.
        """


class NoStorages:
    """The storages of a pickle that refers to none."""

    def find(self, identity: tuple[object, ...]) -> Storage:
        """Refuses.

        Raises:
            Refusal: always.
        """
        raise Refusal("refers to a storage where none can be", DAMAGED)


class Inert:
    """Gives values to names and calls without importing or calling any of them.

    Args:
        storages: those of the file.
        budget: counts what is built.
    """

    def __init__(self, storages: Storages, budget: Budget) -> None:
        self.storages = storages
        self.budget = budget
        self._names: dict[tuple[str, str], Opaque] = {}

    def named(self, module: str, name: str) -> object:
        """Returns what a name stands for: a type of torch, or the stand-in of that name."""
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = self._names.get((module, name))
        if known is None:
            known = self._names[module, name] = Opaque(module, name)
        return known

    def persistent(self, identity: object) -> object:
        """Returns the storage that a persistent identity means."""
        if not isinstance(identity, tuple) or not identity:
            raise Refusal("refers to a storage by an unknown kind of name")
        return self.storages.find(identity)

    def called(self, function: Opaque, args: Args) -> object:
        """Returns a value where the call has a meaning, else a stand-in for its result."""
        if function.args is not None:
            return Opaque("", "call", (function, *args))
        meaning = _CALLS.get((function.module, function.name))
        if meaning is not None:
            return meaning(self, args)
        if function.name == "_reconstruct" and function.module in _MULTIARRAYS:
            return Unbuilt(function.module, function.name, args)
        return Opaque(function.module, function.name, args)

    def built(self, instance: Opaque, state: object) -> object:
        """Sets the state of a stand-in; an array of numpy becomes a tensor by it."""
        if instance.state is not None:
            raise Refusal("sets the state of an object twice")
        instance.state = state
        if not isinstance(instance, Unbuilt) or not _is_array(instance):
            return instance
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refusal("holds an array of numpy without its content")
        _, shape, dtype, fortran, content = state
        made = arrays.array(dtype, shape, content, self.budget, fortran=fortran is True)
        return instance if made is None else made


def _is_array(instance: Opaque) -> bool:
    kind = instance.args[0] if instance.args else None
    return isinstance(kind, Opaque) and (kind.module, kind.name) == ("numpy", "ndarray")


def _items(inert: Inert, args: Args) -> list[object]:
    """Returns the items of the only argument, which are copied."""
    if not args:
        return []
    if len(args) > 1 or not isinstance(args[0], list | tuple | set | frozenset):
        raise Refusal("builds a container from what is none")
    inert.budget.memory(64 * len(args[0]) + 216)
    return list(args[0])


def _unordered(inert: Inert, args: Args) -> set[object]:
    items = _items(inert, args)
    for item in items:
        check_key(item, inert.budget)
    return set(items)


def _frozen(inert: Inert, args: Args) -> frozenset[object]:
    return frozenset(_unordered(inert, args))


def _dict(inert: Inert, args: Args) -> dict[object, object]:
    pairs: dict[object, object] = {}
    for pair in _items(inert, args):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Refusal("builds a dict from what are no pairs")
        check_key(pair[0], inert.budget)
        pairs[pair[0]] = pair[1]
    return pairs


def _default_dict(inert: Inert, args: Args) -> dict[object, object]:
    return _dict(inert, args[1:])


def _slice(inert: Inert, args: Args) -> slice:
    if len(args) != 3 or not all(part is None or type(part) is int for part in args):
        raise Refusal("holds a slice whose ends are no whole numbers")
    return slice(*args)


def _complex(inert: Inert, args: Args) -> complex:
    if len(args) != 2 or not isinstance(args[0], float) or not isinstance(args[1], float):
        raise Refusal("holds a complex number whose parts are no numbers")
    return complex(args[0], args[1])


def _bytes(inert: Inert, args: Args) -> bytes:
    """Bytes as protocol 2 writes them: none, text with an encoding, or bytes."""
    if not args:
        return b""
    content = args[0]
    if isinstance(content, str) and len(args) == 2 and args[1] in ("latin1", "latin-1", "utf-8"):
        inert.budget.memory(len(content))
        return content.encode("utf-8" if args[1] == "utf-8" else "latin1")
    if isinstance(content, bytes) and len(args) == 1:
        return content
    raise Refusal("holds bytes in an unknown encoding")


def _size(inert: Inert, args: Args) -> tuple[int, ...]:
    items = _items(inert, args)
    if not all(type(item) is int for item in items):
        raise Refusal("holds a size that is no whole number")
    return tuple(items)  # type: ignore[arg-type]


def _device(inert: Inert, args: Args) -> torch.device:
    text = ":".join(str(part) for part in args if type(part) in (str, int))
    if not 1 <= len(args) <= 2 or not _DEVICE.fullmatch(text):
        raise Refusal("holds the name of a device that is none")
    return torch.device(text)


def _reconstructed(inert: Inert, args: Args) -> object:
    """An object as protocols 0 and 1 write it: class, base class, content of the base class."""
    if len(args) != 3 or not isinstance(args[0], Opaque):
        raise Refusal("builds an object without a class")
    return Opaque(args[0].module, args[0].name, () if args[2] is None else (args[2],))


def _tensor(inert: Inert, args: Args) -> Tensor:
    """``_rebuild_tensor(storage, offset, size, stride)``, of version 2 with flags behind them."""
    if len(args) < 4:
        raise Refusal("rebuilds a tensor without its shape")
    storage, offset, size, stride = args[:4]
    tensor = view(storage, offset, size, stride, None, inert.budget)
    return _flagged(tensor, args[6] if len(args) > 6 else None)


def _typed_tensor(inert: Inert, args: Args) -> Tensor:
    """``_rebuild_tensor_v3``: the type comes behind the hooks, then the flags."""
    if len(args) < 7 or not isinstance(args[6], torch.dtype):
        raise Refusal("rebuilds a tensor without its type")
    storage, offset, size, stride = args[:4]
    tensor = view(storage, offset, size, stride, args[6], inert.budget)
    return _flagged(tensor, args[7] if len(args) > 7 else None)


def _flagged(tensor: Tensor, flags: object) -> Tensor:
    """Applies the flags of a tensor whose values are conjugated or negated when they are read.

    Both are views, since the storages of the old format are filled only after all tensors exist.
    """
    if isinstance(flags, dict):
        if flags.get("conj") is True:
            tensor = tensor.conj()
        if flags.get("neg") is True:
            tensor = torch._neg_view(tensor)
    return tensor


def _parameter(inert: Inert, args: Args) -> object:
    """A parameter is its tensor; that of a kind that stays a stand-in is that stand-in."""
    if not args or not isinstance(args[0], Tensor | Opaque):
        raise Refusal("rebuilds a parameter from what is no tensor")
    return args[0]


def _of_type(inert: Inert, args: Args) -> object:
    """``_rebuild_from_type_v2(function, class, arguments, state)``: a tensor with attributes."""
    if len(args) == 4 and isinstance(args[0], Opaque) and isinstance(args[2], tuple):
        function = args[0]
        if function.module == "torch._utils" and function.name in _REBUILT:
            return inert.called(function, args[2])
    return Opaque("torch._tensor", "_rebuild_from_type_v2", args)


def _scalar(inert: Inert, args: Args) -> object:
    if len(args) != 2:
        raise Refusal("holds a number of numpy without its bytes")
    value = arrays.number(*args)
    return Opaque("numpy", "scalar", args) if value is None else value


def _from_buffer(inert: Inert, args: Args) -> object:
    """``_frombuffer(bytes, dtype, shape, order)``: arrays in protocol 5."""
    if len(args) < 4:
        raise Refusal("holds an array of numpy without its content")
    content, dtype, shape, order = args[:4]
    made = arrays.array(dtype, shape, content, inert.budget, fortran=order == "F")
    return Opaque("numpy", "ndarray", args) if made is None else made


_CALLS: dict[tuple[str, str], Callable[[Inert, Args], object]] = {
    ("collections", "OrderedDict"): _dict,
    ("collections", "defaultdict"): _default_dict,
    ("builtins", "dict"): _dict,
    ("builtins", "list"): _items,
    ("builtins", "tuple"): lambda inert, args: tuple(_items(inert, args)),
    ("builtins", "set"): _unordered,
    ("builtins", "frozenset"): _frozen,
    ("builtins", "slice"): _slice,
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
    ("_codecs", "encode"): _bytes,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    **{(module, "scalar"): _scalar for module in _MULTIARRAYS},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}
"""By module and name."""
