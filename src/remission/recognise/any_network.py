"""Any network as a classifier."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models import Adapted, Classifier, Precision, evaluating, in_channels_last
from remission.models.source import SourceTensor, WeightSource
from remission.models.tracing.adapter import switch_off_chance
from remission.recognise.errors import ArchitectureError
from remission.types import Shape


def wrap(
    module: nn.Module,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    shape: Shape,
    classes: int,
    precision: Precision = "fp32",
) -> Classifier:
    """Makes a classifier of any network, with its weights, in eval mode.

    Where the forward pass can be traced, the feature map is the input of the global pooling.
    Elsewhere it is the input of the last linear layer, (N, D, 1, 1). Dropout and stochastic depth
    are switched off. The network is copied; the module itself is not changed.

    Args:
        module: normalised images (N, C, H, W) -> logits (N, K).
        mean: the mean to subtract from images in [0, 1] before, one number per channel. A module
            that normalises images itself has mean 0 and std 1.
        std: the standard deviation to divide by, one number per channel.
        shape: (C, H, W) of the images.
        classes: the number of classes K.
        precision: the precision of the forward pass.

    Raises:
        ArchitectureError: the module fails for such images, gives something else than K logits, or
            does not end in a linear layer.
    """
    if len(mean) != shape[0] or len(std) != shape[0] or min(std) <= 0:
        raise ArchitectureError(
            f"mean {tuple(mean)} and std {tuple(std)} do not fit images of {shape[0]} channels",
            "give one number per channel, above 0 for std",
        )
    net = copy.deepcopy(module).cpu().float()
    switch_off_chance(net)
    linear = _last_linear(net, shape, classes)
    common = {
        "arch": type(module).__name__,
        "classes": classes,
        "shape": shape,
        "mean": tuple(mean),
        "std": tuple(std),
    }
    model: Classifier
    try:
        model = Adapted(copy.deepcopy(net), **common)  # which it may change before it fails
    except SpecError:
        model = BeforeLastLayer(net, linear, **common)
    state = module.state_dict()
    model.source = WeightSource(
        "its own",
        tuple(SourceTensor(k, v.shape, v.dtype, f"net.{k}") for k, v in state.items()),
    )
    model.by_name = False
    model.precision = precision
    return in_channels_last(model).eval()


@torch.no_grad()
def _last_linear(net: nn.Module, shape: Shape, classes: int) -> str:
    """Returns the name of the linear layer whose output the logits are.

    Raises:
        ArchitectureError: there is none, or the network fails.
    """
    kind, last = type(net).__name__, dict[str, Any]()

    def note(name: str) -> Any:  # noqa: ANN401
        def after(layer: nn.Module, inputs: object, output: object) -> None:
            del layer, inputs
            last.update(name=name, output=output)

        return after

    linears = [(name, one) for name, one in net.named_modules() if isinstance(one, nn.Linear)]
    handles = [layer.register_forward_hook(note(name)) for name, layer in linears]
    images = torch.linspace(-2, 2, 2 * math.prod(shape)).view(2, *shape)
    try:
        with evaluating(net):
            logits = net(images)
    except Exception as error:  # whatever somebody's forward pass raises
        said = (str(error).splitlines() or [""])[0]
        raise ArchitectureError(
            f"{kind} fails for images of shape {tuple(shape)}: {type(error).__name__}: {said}",
            "give the shape (C, H, W) of the images that it was trained with",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ArchitectureError(
            f"{kind} gives {what} for two images instead of {(2, classes)}",
            "give the number of classes that it was trained with, and a module that returns logits",
        )
    if not last or not torch.equal(last["output"], logits):
        raise ArchitectureError(
            f"{kind} does not end in a linear layer whose output the logits are",
            "leave out what follows its last linear layer, as a softmax",
        )
    return str(last["name"])


class _Reached(Exception):  # noqa: N818
    """The forward pass has come to the last linear layer."""


class BeforeLastLayer(Classifier):
    """A network that cannot be traced: its features are the input of its last linear layer.

    Args:
        net: normalised images (N, C, H, W) -> (N, K) logits.
        linear: the name of its last linear layer, whose output the logits are.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, net: nn.Module, linear: str, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.net, self._linear = net, linear

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, 1, 1)."""
        reached: list[Tensor] = []

        def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del layer
            reached.append(inputs[0])
            raise _Reached

        handle = self.final_linear.register_forward_pre_hook(stop)
        try:
            self.net(normal)
        except _Reached:
            pass
        finally:
            handle.remove()
        return reached[0][:, :, None, None]

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        layer = self.net.get_submodule(self._linear)
        assert isinstance(layer, nn.Linear)
        return layer
