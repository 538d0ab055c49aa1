"""A tensor that says that it lies on ``cuda:0``, its moves from and to the CPU, and autocast."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from tests.device.rules import Rules, no_numpy, rules_of, two_devices

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


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
        return moved_as(self, CPU, memory_format=memory_format)

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
        if Autocast.place == "cpu":
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
                return wrapped(out)
        return wrapped(out)


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


def wrapped(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        return DeviceTensor(value)
    return type(value)(map(wrapped, value)) if isinstance(value, list | tuple) else value


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


def moved_as(x: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:  # noqa: ANN401
    """Does as ``x.to`` does."""
    other = kwargs.pop("other", args[0] if args and isinstance(args[0], Tensor) else None)
    if other is not None:
        return moved_as(x, other.device, other.dtype, copy=copy, **kwargs)
    place, dtype, later, layout = torch._C._nn._parse_to(*args, **kwargs)
    place, dtype = place or x.device, dtype or x.dtype
    if place.type not in ("cpu", "cuda"):
        return (x.inner if isinstance(x, DeviceTensor) else x).to(place, dtype, copy=copy)
    if later and isinstance(x, DeviceTensor) and place.type == "cpu":
        raise AssertionError("a copy to the CPU that nobody waits for is read before it is there")
    moved = move(x, place)
    layout = layout or torch.preserve_format
    return moved.to(dtype, copy=copy and moved is x, memory_format=layout)


class Autocast(torch.autocast):
    """Autocast for the device, done by that of the CPU; it knows for which of them it is on."""

    place: ClassVar[str] = ""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self.wanted = device_type
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    def __enter__(self) -> Any:  # noqa: ANN401
        self.before, Autocast.place = Autocast.place, self.wanted if self._enabled else ""
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> Any:  # noqa: ANN401
        Autocast.place = self.before
        return super().__exit__(*error)
