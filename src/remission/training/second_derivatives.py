"""Second derivatives of a loss by the images, in less time than torch's own rules take.

Let g = dL/dx be the gradient of a loss by the images, with the network in eval mode. The products
(dg/dx)^T v and (dg/dw)^T v, w the weights, are gradients of <g, v>. Each layer then needs one more
forward pass, with v in place of the images, one more backward pass, and for the weights two weight
gradients. Torch's rules do more than this:

- That of a convolution always computes the derivative by its weight, also where nobody asks for it,
  by a convolution whose kernel is as large as the feature map.
- That of a batch norm computes all terms of train mode, which are not used in eval mode.

Within :class:`SecondDerivatives` both layers follow the rules below. Values and first derivatives
are torch's, bit for bit. Second derivatives multiply and add the same numbers, in part in another
order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Gradients = tuple[Tensor | None, ...]


class SecondDerivatives(TorchFunctionMode):
    """A context in which convolutions and batch norms in eval mode are quick to derive twice.

    The gradient by the images may be differentiated again, that by the weights may not. Other
    layers follow torch's rules; so do batch norms in train mode, and padding by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_weights = False
        """Whether backward passes, at the time that they run, compute gradients by the weights."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Computes a layer by the rules below, or any other function as it is."""
        del types
        if func is torch.conv2d:
            return self._conv2d(*args, **(kwargs or {}))
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _conv2d(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = (1, 1),
        padding: int | Sequence[int] | str = (0, 0),
        dilation: int | Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Tensor:
        if isinstance(padding, str):
            return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
        if torch.is_autocast_enabled(input.device.type):  # its casts have derivatives, too
            dtype = torch.get_autocast_dtype(input.device.type)
            input, weight = input.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        layer = (_pair(stride), _pair(padding), _pair(dilation), False, [0, 0], groups)
        result: Tensor = _Convolution.apply(input, weight, bias, layer, self)  # type: ignore[no-untyped-call]
        return result

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if training or running_mean is None or running_var is None or weight is None:
            return F.batch_norm(
                input, running_mean, running_var, weight, bias, training, momentum, eps
            )
        statistics = (running_mean, running_var, eps)
        result: Tensor = _BatchNorm.apply(input, weight, bias, statistics, self)  # type: ignore[no-untyped-call]
        return result


def _convolution_backward(
    gradient: Tensor, input: Tensor, weight: Tensor, layer: tuple[Any, ...], mask: list[bool]
) -> Gradients:
    """Returns gradients by input, weight and bias; None where ``mask`` says that none is needed."""
    sizes = [weight.shape[0]] if mask[2] else None
    gradients: Gradients = torch.ops.aten.convolution_backward(
        gradient, input, weight, sizes, *layer, mask
    )
    return gradients


class _Convolution(torch.autograd.Function):
    """y = w * x + b."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        layer: tuple[Any, ...],
        mode: SecondDerivatives,
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.layer, ctx.mode = layer, mode
        result: Tensor = torch.ops.aten.convolution(input, weight, bias, *layer)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:  # noqa: ANN401
        need_input, need_weight, need_bias = (
            needed and (index == 0 or ctx.mode.by_weights)
            for index, needed in enumerate(ctx.needs_input_grad[:3])
        )
        input, weight = ctx.saved_tensors
        by_input = by_weight = by_bias = None
        mask = [need_input, need_weight, need_bias]
        if torch.is_grad_enabled():
            by_input = _ConvolutionGradient.apply(gradient, input, weight, ctx.layer, ctx.mode)  # type: ignore[no-untyped-call]
            mask[0] = False
        if any(mask):
            with torch.no_grad():
                found = _convolution_backward(gradient, input, weight, ctx.layer, mask)
            by_input = found[0] if mask[0] else by_input
            by_weight, by_bias = found[1], found[2]
        return by_input, by_weight, by_bias, None, None


class _ConvolutionGradient(torch.autograd.Function):
    """The gradient by the input of a convolution, linear in ``gradient`` and in the weight."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        gradient: Tensor,
        input: Tensor,
        weight: Tensor,
        layer: tuple[Any, ...],
        mode: SecondDerivatives,
    ) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.layer, ctx.mode = layer, mode
        by_input = _convolution_backward(gradient, input, weight, layer, [True, False, False])[0]
        assert by_input is not None
        return by_input

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, vector: Tensor) -> Gradients:  # noqa: ANN401
        gradient, weight = ctx.saved_tensors
        by_gradient = torch.ops.aten.convolution(vector, weight, None, *ctx.layer)
        by_weight = None
        if ctx.mode.by_weights and ctx.needs_input_grad[2]:
            mask = [False, True, False]
            by_weight = _convolution_backward(gradient, vector, weight, ctx.layer, mask)[1]
        return by_gradient, None, by_weight, None, None


class _BatchNorm(torch.autograd.Function):
    """A batch norm in eval mode, y = gamma * (x - mean) / sqrt(var + eps) + beta."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        statistics: tuple[Tensor, Tensor, float],
        mode: SecondDerivatives,
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.statistics, ctx.mode = statistics, mode
        mean, variance, eps = statistics
        return F.batch_norm(input, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:  # noqa: ANN401
        input, weight = ctx.saved_tensors
        by_weights = [needed and ctx.mode.by_weights for needed in ctx.needs_input_grad[1:3]]
        by_input = by_weight = by_bias = None
        if torch.is_grad_enabled():
            by_input = _BatchNormGradient.apply(gradient, input, weight, ctx.statistics, ctx.mode)  # type: ignore[no-untyped-call]
        mask = [by_input is None and ctx.needs_input_grad[0], *by_weights]
        if any(mask):
            with torch.no_grad():
                found = _batch_norm_backward(gradient, input, weight, ctx.statistics, mask)
            by_input = found[0] if mask[0] else by_input
            by_weight, by_bias = (
                g if n else None for g, n in zip(found[1:], by_weights, strict=True)
            )
        return by_input, by_weight, by_bias, None, None


def _batch_norm_backward(
    gradient: Tensor,
    input: Tensor,
    weight: Tensor,
    statistics: tuple[Tensor, Tensor, float],
    mask: list[bool],
) -> Gradients:
    """Returns gradients by input, weight and bias, where ``mask`` says that they are needed."""
    mean, variance, eps = statistics
    gradients: Gradients = torch.ops.aten.native_batch_norm_backward(
        gradient, input, weight, mean, variance, None, None, False, eps, mask
    )
    return gradients


class _BatchNormGradient(torch.autograd.Function):
    """The gradient by the input, gamma / sqrt(var + eps) * ``gradient``."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        gradient: Tensor,
        input: Tensor,
        weight: Tensor,
        statistics: tuple[Tensor, Tensor, float],
        mode: SecondDerivatives,
    ) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.statistics, ctx.mode = statistics, mode
        mask = [True, False, False]
        by_input = _batch_norm_backward(gradient, input, weight, statistics, mask)[0]
        assert by_input is not None
        return by_input

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, vector: Tensor) -> Gradients:  # noqa: ANN401
        gradient, weight = ctx.saved_tensors
        mask = [True, False, False]  # the same map; it does not depend on the layer's input
        by_gradient = _batch_norm_backward(vector, gradient, weight, ctx.statistics, mask)[0]
        by_weight = None
        if ctx.mode.by_weights and ctx.needs_input_grad[2]:
            _, variance, eps = ctx.statistics
            scale = (variance + eps).pow(-0.5).view(1, -1, *[1] * (gradient.ndim - 2))
            others = [dim for dim in range(gradient.ndim) if dim != 1]
            by_weight = (vector * (gradient * scale)).sum(others)
        return by_gradient, None, by_weight, None, None


def _pair(value: int | Sequence[int]) -> list[int]:
    """Returns what counts in both directions as two numbers."""
    return [value, value] if isinstance(value, int) else list(value)
