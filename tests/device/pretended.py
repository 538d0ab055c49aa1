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

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, NoReturn
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from remission.models import resolve_precision
from tests.device.rules import Rules, no_numpy, rules_of, tensors, two_devices, wrong_generator

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
GIB = 1 << 30

_RANDOM_FACTORIES = {"rand", "randn", "randint", "randperm", "normal"}
_MAKING = {Tensor.backward, torch.autograd.grad, F.one_hot, F.batch_norm}
"""Functions whose C++ code makes tensors on the device of their first argument."""


class DeviceTensor(Tensor):
    """A tensor that says that it lies on ``cuda:0``.

    Args:
        inner: the tensor on the processor that holds the values.
    """

    inner: Tensor  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    drawn: ClassVar[list[str]] = []
    """The operations that drew numbers from the device's own generator."""

    def __new__(cls, inner: Tensor) -> DeviceTensor:
        """Makes a tensor with the shape, strides and type of ``inner``."""
        made: DeviceTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=CPU,
        )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """``cuda:0``."""
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """True."""
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        """False."""
        return False

    def get_device(self) -> int:
        """Returns the number of the device."""
        return 0

    @property
    def data(self) -> Tensor:
        """The same values without a history."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, DeviceTensor):
            raise two_devices("data")
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        self.inner = value.inner

    def cpu(self, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
        """Returns a copy on the CPU."""
        return _to(self, CPU, memory_format=memory_format)

    def tolist(self) -> Any:  # noqa: ANN401
        """Returns the values as lists."""
        return self.inner.tolist()

    def numpy(self, *, force: bool = False) -> Any:  # noqa: ANN401
        """Raises torch's error, unless ``force`` asks for a copy."""
        return self.detach().cpu().numpy() if force else no_numpy()

    def __array__(self, *arguments: object) -> NoReturn:
        no_numpy()

    def pin_memory(self, *arguments: object) -> NoReturn:
        """Raises torch's error."""
        raise RuntimeError(
            "cannot pin a tensor of the device: only dense CPU tensors can be pinned"
        )

    def data_ptr(self) -> int:
        """Returns an address; views of one tensor share it."""
        return self.inner.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        """Returns the memory; views of one tensor share it."""
        return self.inner.untyped_storage()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            twin: Tensor = self.detach().clone()
            if isinstance(self, nn.Parameter):
                twin = nn.Parameter(twin)
            twin.requires_grad_(self.requires_grad)
            if self.grad is not None:
                twin.grad = copy.deepcopy(self.grad, memo)
            memo[id(self)] = twin
        found: Tensor = memo[id(self)]
        return found

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise RuntimeError("a device tensor is pickled, and a process without the device reads it")

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"DeviceTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,  # noqa: ANN401
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs, rules = kwargs or {}, rules_of(func)
        if _Autocast.place == "cpu":
            raise AssertionError("autocast of the CPU leaves device tensors as they are")
        inner, strangers = _unwrapped(args)
        more, further = _unwrapped(kwargs.values())
        if strangers or further or rules.random:
            rules.check([*args, *kwargs.values()], DeviceTensor)
            cls.drawn.extend([rules.name] * rules.draws(args))
        out = func(*inner, **dict(zip(kwargs, more, strict=True)))
        if rules.written:
            return _after_writing(rules, args, kwargs, out)
        if rules.is_view and torch.is_inference_mode_enabled() and not args[0].is_inference():
            with torch.inference_mode(False):  # as everywhere, it is of the kind of its base
                return _wrapped(out)
        return _wrapped(out)


def _unwrapped(values: Iterable[Any]) -> tuple[list[Any], bool]:
    """Returns the values as they lie on the processor, and whether one was no device tensor."""
    inner, strangers = list[Any](), False
    for value in values:
        if isinstance(value, DeviceTensor):
            inner.append(value.inner)
        elif isinstance(value, list | tuple):
            several, strange = _unwrapped(value)
            inner.append(type(value)(several))
            strangers |= strange
        else:
            inner.append(value)
            strangers |= isinstance(value, Tensor)
    return inner, strangers


def _wrapped(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        return DeviceTensor(value)
    return type(value)(map(_wrapped, value)) if isinstance(value, list | tuple) else value


def _after_writing(
    rules: Rules,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    out: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Returns what an operation returns that wrote into its arguments: those arguments."""
    targets = [kwargs[name] if name in kwargs else args[place] for place, name in rules.written]
    for target in targets:
        if isinstance(target, DeviceTensor):
            assert target.shape == target.inner.shape, "an operation changed a shape in place"
    if out is None or isinstance(targets[0], list | tuple):
        return out
    return targets[0] if len(targets) == 1 else tuple(targets)


class _Move(torch.autograd.Function):
    """Copies a tensor to another device; its gradient takes the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, place: torch.device) -> Tensor:  # noqa: ANN401
        ctx.origin = x.device
        return _copied(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return move(slopes[0], ctx.origin), None


def _copied(x: Tensor) -> Tensor:
    """Copies a tensor without a history to the other device."""
    return x.inner.detach().clone() if isinstance(x, DeviceTensor) else DeviceTensor(x.clone())


def move(x: Tensor, place: torch.device) -> Tensor:
    """Returns ``x`` on a device: itself if it lies there, else a copy."""
    if x.device.type == place.type:
        return x
    assert {x.device.type, place.type} == {"cpu", "cuda"}, f"from {x.device} to {place}"
    if not (x.requires_grad and torch.is_grad_enabled()):
        return _copied(x.detach())
    moved: Tensor = _Move.apply(x, place)  # type: ignore[no-untyped-call]
    return moved


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


def _to(x: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:  # noqa: ANN401
    """Does as ``x.to`` does."""
    other = kwargs.pop("other", args[0] if args and isinstance(args[0], Tensor) else None)
    if other is not None:
        return _to(x, other.device, other.dtype, copy=copy, **kwargs)
    place, dtype, later, layout = torch._C._nn._parse_to(*args, **kwargs)
    place, dtype = place or x.device, dtype or x.dtype
    if place.type not in ("cpu", "cuda"):
        return (x.inner if isinstance(x, DeviceTensor) else x).to(place, dtype, copy=copy)
    if later and isinstance(x, DeviceTensor) and place.type == "cpu":
        raise AssertionError("a copy to the CPU that nobody waits for is read before it is there")
    moved = move(x, place)
    layout = layout or torch.preserve_format
    return moved.to(dtype, copy=copy and moved is x, memory_format=layout)


_MOVES: dict[Any, Callable[..., Tensor]] = {
    Tensor.to: _to,
    Tensor.type_as: _to,
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
        return made if rules_of(func).takes_tensors else _wrapped(made)


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


class _Autocast(torch.autocast):
    """Autocast for the device, done by that of the CPU; it knows for which of them it is on."""

    place: ClassVar[str] = ""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self.wanted = device_type
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    def __enter__(self) -> Any:  # noqa: ANN401
        self.before, _Autocast.place = _Autocast.place, self.wanted if self._enabled else ""
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> Any:  # noqa: ANN401
        _Autocast.place = self.before
        return super().__exit__(*error)


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
            (torch, "autocast", _Autocast),
            (threading.Thread, "run", _in_its_mode(threading.Thread.run)),
            (nn.Module, "_apply", _swapping(nn.Module._apply)),
        ):
            stack.enter_context(mock.patch.object(where, name, other))
        for name in ("deterministic", "allow_tf32"):  # which a run on a device sets
            value = getattr(torch.backends.cudnn, name)
            stack.callback(setattr, torch.backends.cudnn, name, value)
        stack.enter_context(_Pretended())
        yield DeviceTensor.drawn
