"""A pretended CUDA device: it computes on the processor and complains as a real device would.

Within :func:`pretended_device` a tensor on ``"cuda"`` is a :class:`DeviceTensor`: a subclass that
says ``cuda:0``, holds a tensor of the processor and hands every operation on to it. It raises
torch's errors where tensors of two devices meet in one operation, where a generator of the CPU
draws into a tensor of the device, and where numpy would read from it. It lets pass what torch lets
pass: copies between devices, scalars of the CPU in arithmetic, indices of the CPU. A move is always
a copy, so a change of the copy never reaches the original, as it would on the processor alone.

Why a subclass, of the ways that torch offers:

* ``FakeTensorMode`` knows the devices of all operations but has no values, and every method here
  looks at some: at a loss, at an accuracy.
* A wrapper whose device is CUDA for torch's C++ code too ends the process at its first gradient
  where torch was built without CUDA.
* The open backend ``PrivateUse1`` may not be called ``cuda``, has no operations that autocast
  casts, and stays in the process for all later tests.

For the C++ code the tensors here lie on the CPU, so what C++ decides by the device is decided as on
the CPU: which operations autocast casts, and which kernels are taken. Rounding, memory and
everything asynchronous are not pretended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from remission.models import resolve_precision
from tests.device.rules import rules_of, tensors, wrong_generator
from tests.device.tensor import CPU, CUDA, Autocast, DeviceTensor, move, moved_as, wrapped

GIB = 1 << 30

_RANDOM_FACTORIES = {"rand", "randn", "randint", "randperm", "normal"}
_MAKING = {Tensor.backward, torch.autograd.grad, F.one_hot, F.batch_norm}
"""Functions whose C++ code makes tensors on the device of their first argument."""


class _Pretended(TorchFunctionMode):
    """Makes tensors on the device, and moves them there and back."""

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = dict(kwargs or {})
        if (moving := _MOVES.get(func)) is not None:
            return moving(*args, **kwargs)
        if func in _MAKING and all(isinstance(_bare(x), DeviceTensor) for x in tensors(args[:1])):
            with _Factories():  # type: ignore[no-untyped-call]
                return func(*args, **kwargs)
        if func is torch.tensor:
            args = [_numbers(args[0]), *args[1:]]
        if func is Tensor.new_tensor:
            kwargs.setdefault("device", args[0].device)
        if kwargs.get("device") is None:
            return func(*args, **kwargs)
        return _made(func, args, kwargs, torch.device(kwargs.pop("device")))


def _made(func: Any, args: Sequence[Any], kwargs: dict[str, Any], place: torch.device) -> Tensor:  # noqa: ANN401
    """Makes a tensor on a device."""
    if place.type not in ("cpu", "cuda"):
        elsewhere: Tensor = func(*args, device=place, **kwargs)
        return elsewhere
    if place.type == "cuda" and func.__name__ in _RANDOM_FACTORIES:
        if kwargs.get("generator") is not None:
            raise wrong_generator()
        DeviceTensor.drawn.append(func.__name__)
    wanted = kwargs.pop("requires_grad", False)
    made: Tensor = move(func(*args, **kwargs), place)
    return made.requires_grad_() if wanted else made


_MOVES: dict[Any, Callable[..., Tensor]] = {
    Tensor.to: moved_as,
    Tensor.type_as: moved_as,
    Tensor.cuda: lambda x: move(x, CUDA),
}


class _Factories(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes on the device what torch's C++ code makes from nothing."""

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        return made if rules_of(func).takes_tensors else wrapped(made)


def _bare(x: Tensor) -> Tensor:
    """Returns the tensor within those that ``vmap`` wraps around it."""
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        x = torch._C._functorch.get_unwrapped(x)
    return x


def _numbers(values: Any) -> Any:  # noqa: ANN401
    """Returns the numbers of tensors in lists, which torch reads one by one."""
    if isinstance(values, list | tuple):
        return [_numbers(value) for value in values]
    return values.inner if isinstance(values, DeviceTensor) else values


def _in_its_mode(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """Lets threads know the device: a mode is one of a thread."""

    def running(thread: threading.Thread) -> None:
        with _Pretended():
            run(thread)

    return running


def _swapping(apply: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Lets ``module.to`` keep its parameters as objects, as it does on a real device."""

    def applied(*args: Any, **kwargs: Any) -> nn.Module:  # noqa: ANN401
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(*args, **kwargs)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    return applied


@contextmanager
def pretended_device(memory: int = GIB) -> Iterator[list[str]]:
    """Pretends that this machine has a CUDA device.

    Args:
        memory: bytes that are free on it.

    Yields:
        The operations that draw from the device's own generator, a list that grows: torch allows
        them, but then results depend on the device.
    """
    answers = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "mem_get_info": (memory, memory),
        "is_bf16_supported": resolve_precision("auto", CPU) == "bf16",  # as the processor does
        "get_device_name": "pretended",
        "synchronize": None,
    }
    DeviceTensor.drawn.clear()
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, return_value=answer))
        for where, name, other in (
            (torch, "autocast", Autocast),
            (threading.Thread, "run", _in_its_mode(threading.Thread.run)),
            (nn.Module, "_apply", _swapping(nn.Module._apply)),
        ):
            stack.enter_context(mock.patch.object(where, name, other))
        for name in ("deterministic", "allow_tf32"):  # which a run on a device sets
            value = getattr(torch.backends.cudnn, name)
            stack.callback(setattr, torch.backends.cudnn, name, value)
        stack.enter_context(_Pretended())
        yield DeviceTensor.drawn
