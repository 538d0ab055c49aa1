"""The rules of torch for tensors of two devices that meet in one operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import torch
from torch import Tensor

_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_SCALARS_TOO = {"where", "masked_fill", "masked_fill_", "clamp", "clamp_", "fill", "fill_"}
"""Operations whose scalars may lie on the CPU, beside all arithmetic on two tensors."""


@dataclass(frozen=True)
class Rules:
    """What matters of an operation.

    Args:
        name: its name without its overload.
        written: place and name of the arguments that it writes into.
        is_view: whether its result shares memory with its first argument.
        takes_tensors: whether it has arguments that are tensors.
        pointwise: whether it is arithmetic, element by element.
        random: whether it draws numbers, if it is not told otherwise.
    """

    name: str
    written: tuple[tuple[int, str], ...]
    is_view: bool
    takes_tensors: bool
    pointwise: bool
    random: bool

    def check(self, arguments: Sequence[Any], device: type[Tensor]) -> None:
        """Raises where torch would.

        Args:
            arguments: of the operation.
            device: the type of tensors of the device; all other tensors lie on the CPU.

        Raises:
            RuntimeError: two devices meet, or a generator of the CPU draws on the device.
        """
        if self.random and any(isinstance(value, torch.Generator) for value in arguments):
            raise wrong_generator()
        if not self._may_meet(arguments, device):
            raise two_devices(self.name)

    def _may_meet(self, arguments: Sequence[Any], device: type[Tensor]) -> bool:
        if self.name == "copy_":
            return True
        every = list(tensors(arguments))
        strangers = [value for value in every if not isinstance(value, device)]
        if strangers and every[0] is strangers[0] and (self.written or self.name in _INDEXED):
            return False
        if self.name in _INDEXED:  # the indices may lie anywhere
            strangers = [value for value in tensors(arguments[2:]) if not isinstance(value, device)]
        elif self.name not in _SCALARS_TOO and not (self.pointwise and len(every) == 2):
            return not strangers
        return all(value.ndim == 0 for value in strangers)

    def draws(self, args: Sequence[Any]) -> bool:
        """Returns whether it draws: attention and dropout may be told that they shall not."""
        if not self.random or self.name.startswith("_scaled_dot_product"):
            return False
        return "dropout" not in self.name or args[1] != 0


@cache
def rules_of(func: Any) -> Rules:  # noqa: ANN401
    """Returns the rules of an operation of ``torch.ops``."""
    arguments = func._schema.arguments
    return Rules(
        name=func.overloadpacket.__name__,
        written=tuple(
            (place, each.name)
            for place, each in enumerate(arguments)
            if each.alias_info is not None and each.alias_info.is_write
        ),
        is_view=func.is_view,
        takes_tensors=any("Tensor" in str(each.type) for each in arguments),
        pointwise=torch.Tag.pointwise in func.tags,
        random=torch.Tag.nondeterministic_seeded in func.tags,
    )


def tensors(values: object) -> Iterator[Tensor]:
    """Yields all tensors in lists and tuples, however deep."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)


def two_devices(where: str) -> RuntimeError:
    """Returns torch's error for tensors of two devices."""
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
        f"cpu! (in {where})"
    )


def wrong_generator() -> RuntimeError:
    """Returns torch's error for a generator of the CPU that draws on a device."""
    return RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")


def no_numpy() -> NoReturn:
    """Raises torch's error for numpy that reads from a device."""
    raise TypeError(
        "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
        "host memory first."
    )
