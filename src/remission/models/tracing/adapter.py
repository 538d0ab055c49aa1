"""An adapter that makes a :class:`Classifier` of any image classifier, by its structure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models.classifier import Classifier
from remission.models.states import evaluating
from remission.models.tracing.cut import (
    CannotSplitError,
    Halves,
    Layout,
    halves,
    last_linear,
    outline,
    reason,
    traced,
)


class Adapted(Classifier):
    """A network of somebody else, whose code is not known.

    Its last linear layer gets as many outputs as there are classes, and its first convolution as
    many inputs as the images have channels. Dropout and stochastic depth are switched off, so that
    a training can be repeated. The network is ``net``; weights with its own keys load too.

    The feature map is the input of the global pooling, (N, D, h, w). The L tokens of a transformer,
    including a class token, are a map of height L and width 1.

    Args:
        net: (N, C, H, W) -> (N, K) logits.
        common: the arguments of :class:`Classifier`.

    Raises:
        SpecError: the network fails for such images, or cannot be cut into features and head.
    """

    published: ClassVar[Mapping[str, str]] = {"": "net."}
    net: nn.Module

    def __init__(self, net: nn.Module, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        switch_off_chance(net)
        match_channels(net, self.shape[0])
        self.net = net
        try:
            if hasattr(net, "forward_features") and hasattr(net, "forward_head"):
                linear, split = _declared(net, self.shape)
            else:
                linear, split = _traced(net, self.shape)
        except CannotSplitError as error:
            height, width = self.shape[1:]
            raise SpecError(
                f"{self.arch} cannot be used on images of {height}x{width}: {error}",
                "use images of the size that it was made for, or another model",
            ) from error
        self._linear, self._halves = linear, split
        if self.final_linear.out_features != self.classes:
            self._replace_last_linear()
        self._check_halves()

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, h, w), or of a transformer (N, D, L, 1)."""
        split = self._halves[self.training]
        return to_map(split.features(self.net, normal), split.layout)

    def head(self, features: Tensor) -> Tensor:
        """The feature map (N, D, h, w) -> logits (N, K), by the network's own head."""
        split = self._halves[self.training]
        return split.head(self.net, from_map(features, split.layout))

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        layer = self.net.get_submodule(self._linear)
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def _check_halves(self) -> None:
        """Compares whole and parts: the graph does not show changes of values in place.

        Raises:
            SpecError: they give other logits.
        """
        if self.mean.is_meta:
            return
        images = torch.linspace(-2, 2, 2 * math.prod(self.shape)).view(2, *self.shape)
        with evaluating(self):
            whole, parts = self.net(images), self.head(self.feature_map(images))
        if not torch.allclose(whole, parts, 1e-3, 1e-4):
            raise SpecError(
                f"{self.arch} cannot be cut into features and head: together they give other "
                "logits than the whole",
                "use another model",
            )

    def _replace_last_linear(self) -> None:
        old = self.final_linear
        new = nn.Linear(old.in_features, self.classes, bias=old.bias is not None)
        above, _, name = self._linear.rpartition(".")
        setattr(self.net.get_submodule(above), name, new)


def _traced(net: nn.Module, shape: tuple[int, int, int]) -> tuple[str, dict[bool, Halves]]:
    """Cuts a network by its graph: (name of the last linear layer, train mode -> halves)."""
    split = {}
    for training in (True, False):  # a forward pass may look at ``self.training``
        graph = traced(net.train(training), shape)
        split[training] = halves(net, graph)
        linear = last_linear(net, graph)
    net.train()
    return linear, split


def _declared(net: Any, shape: tuple[int, int, int]) -> tuple[str, dict[bool, Halves]]:  # noqa: ANN401
    """Cuts a network between ``forward_features`` and ``forward_head``, as timm's are."""
    twin: Any = outline(net)
    try:
        with torch.device("meta"):
            features = twin.forward_features(torch.empty(2, *shape))
            logits = twin.forward_head(features)
    except Exception as error:  # whatever somebody's forward pass raises
        raise CannotSplitError(reason(error)) from error
    if not isinstance(features, Tensor) or features.ndim not in (3, 4):
        raise CannotSplitError("it has no feature map")
    linears = [name for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    classes = net.get_submodule(linears[-1]).out_features if linears else None
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        raise CannotSplitError("it does not end in a linear layer")
    if hasattr(net, "get_classifier") and net.get_classifier() is not net.get_submodule(
        linears[-1]
    ):
        raise CannotSplitError("it has several heads")
    layout: Layout = "NLC" if features.ndim == 3 else "NCHW"
    channels = getattr(net, "num_features", None)
    if features.ndim == 4 and features.shape[3] == channels != features.shape[1]:
        layout = "NHWC"
    both = Halves(_forward_features, _forward_head, layout)
    return linears[-1], {True: both, False: both}


def _forward_features(net: Any, images: Tensor) -> Tensor:  # noqa: ANN401
    features: Tensor = net.forward_features(images)
    return features


def _forward_head(net: Any, features: Tensor) -> Tensor:  # noqa: ANN401
    logits: Tensor = net.forward_head(features)
    return logits


def to_map(values: Tensor, layout: Layout) -> Tensor:
    """The value at the cut -> (N, D, h, w); tokens become a map of width 1."""
    if layout == "NHWC":
        return values.permute(0, 3, 1, 2)
    if layout == "NLC":
        return values.transpose(1, 2).unsqueeze(3)
    return values.unsqueeze(3) if layout == "NCL" else values


def from_map(features: Tensor, layout: Layout) -> Tensor:
    """(N, D, h, w) -> the value at the cut, contiguous, since the head may use views."""
    if layout == "NHWC":
        features = features.permute(0, 2, 3, 1)
    if layout == "NLC":
        features = features.squeeze(3).transpose(1, 2)
    if layout == "NCL":
        features = features.squeeze(3)
    return features.contiguous()


def switch_off_chance(net: nn.Module) -> None:
    """Sets dropout, attention dropout and stochastic depth of every layer to 0, in place."""
    for layer in net.modules():
        kind = type(layer).__name__.lower()
        for name, value in list(vars(layer).items()):
            chance = "drop" in name or (name == "p" and ("drop" in kind or "stochastic" in kind))
            if chance and isinstance(value, float):
                setattr(layer, name, 0.0)


def match_channels(net: nn.Module, channels: int) -> None:
    """Changes the first convolution so that it takes images of ``channels`` channels, in place.

    For grey images its weights are summed over its inputs. The result is what the old convolution
    gives for an image with the grey values in every channel.

    Raises:
        SpecError: the images are not grey and do not have the channels that the network takes.
    """
    for name, old in net.named_modules():
        if not isinstance(old, nn.Conv2d):
            continue
        if old.in_channels == channels:
            return
        if channels != 1 or old.groups != 1:
            raise SpecError(
                f"the network takes images of {old.in_channels} channels, these have {channels}",
                f"use grey images, or images of {old.in_channels} channels",
            )
        old.in_channels = 1
        old.weight = nn.Parameter(old.weight.detach().sum(1, keepdim=True))
        assert name, "a network is more than one convolution"
        return
