"""Which channels of a network belong together, found by following the graph of its forward pass.

A convolution or a linear layer makes new channels. An operation that treats every channel by itself
hands them on, a sum ties the channels of its terms together, and a concatenation puts channels side
by side. Any other operation may depend on the order of its channels, which therefore keep their
places. So do the channels of the images and the logits.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class ChannelPlace:
    """The place of a group's channels in the tensor ``key``: on ``axis``, from ``start``."""

    key: str
    axis: int
    start: int


@dataclass(frozen=True)
class Reader:
    """A layer whose input has a group's channels, along axis 1 from ``start``."""

    layer: str
    start: int


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can be put into another order, the same one in all their places.

    Args:
        size: number of channels.
        places: all their places in the state dict.
        readers: for each value that has these channels, one layer that reads it, in the order of
            the forward pass.
    """

    size: int
    places: tuple[ChannelPlace, ...]
    readers: tuple[Reader, ...]


class _Span:
    """Channels side by side. Spans that are tied together point to one of them, the top."""

    def __init__(self, size: int, *, fixed: bool = False) -> None:
        self.size, self.fixed = size, fixed
        self.above: _Span | None = None

    @property
    def top(self) -> _Span:
        """The span that represents all that are tied to this one."""
        span = self
        while span.above is not None:
            span = span.above
        return span


Spans = tuple[_Span, ...]
"""The channels along axis 1 of a value; empty if it is no tensor of at least two dimensions."""

_LAYERS = (
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.Dropout, nn.Dropout2d, nn.ELU,
    nn.Flatten, nn.GELU, nn.Hardsigmoid, nn.Hardswish, nn.Identity, nn.LeakyReLU, nn.MaxPool2d,
    nn.Mish, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Tanh,
)  # fmt: skip
_FUNCTIONS = {
    F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.avg_pool2d, F.dropout, F.elu, F.gelu,
    F.hardsigmoid, F.hardswish, F.leaky_relu, F.max_pool2d, F.mish, F.relu, F.relu6, F.silu,
    F.softplus, operator.neg, torch.flatten, torch.relu, torch.sigmoid, torch.tanh,
    "clone", "contiguous", "flatten", "relu", "relu_", "reshape", "sigmoid", "tanh", "view",
}  # fmt: skip
"""Functions that hand each channel on, if the first two sides of the result are the input's."""
_MEANS = {torch.mean, torch.amax, "mean", "amax"}
_SUMS = {
    operator.add, operator.iadd, operator.imul, operator.isub, operator.mul, operator.sub,
    operator.truediv, torch.add, torch.mul, torch.sub, "add", "add_", "mul", "mul_", "sub",
}  # fmt: skip
_CONCATENATIONS = {torch.cat, torch.concat}
_PROPERTIES = {"shape", "device", "dtype", "ndim"}


def _fix(spans: Spans) -> None:
    """Fixes channels in their places."""
    for span in spans:
        span.top.fixed = True


def _tie(one: Spans, two: Spans) -> None:
    """Ties the channels of two values together; fixes them where their spans differ in size."""
    if [span.size for span in one] != [span.size for span in two]:
        _fix(one + two)
        return
    for a, b in zip(one, two, strict=True):
        top, other = a.top, b.top
        if top is not other:
            other.above = top
            top.fixed |= other.fixed


class ChannelFlow:
    """Follows the channels of every value through a graph.

    Args:
        body: the network.
        graph: its graph with the shapes of all values, see
            :func:`remission.models.tracing.cut.traced`.
    """

    def __init__(self, body: nn.Module, graph: fx.Graph) -> None:
        self.body = body
        self.at: dict[fx.Node, Spans] = {}
        self.places: dict[tuple[str, int], Spans] = {}
        self.reads: dict[fx.Node, tuple[str, Spans]] = {}
        for node in graph.nodes:
            channels = self._known(node)
            if channels is None:  # what the node does with its channels is unknown
                for source in node.all_input_nodes:
                    _fix(self.at[source])
                shape: tuple[int, ...] = node.meta["shape"] or ()
                channels = (_Span(shape[1], fixed=True),) if len(shape) > 1 else ()
            self.at[node] = channels
        self.bare = {str(node.target) for node in graph.nodes if node.op == "get_attr"}

    def groups(self, model: nn.Module, prefix: str) -> list[ChannelGroup]:
        """Returns the channels that can change places, by the names that tensors have in ``model``.

        In the graph these names begin with ``prefix``. A tensor that ``model`` has under several
        names is named by the first of them.
        """
        tensors: list[tuple[str, Tensor]] = [*model.named_parameters(remove_duplicate=False)]
        tensors += model.named_buffers(remove_duplicate=False)
        first = {id(tensor): name for name, tensor in reversed(tensors)}
        keys = {prefix + name: first[id(tensor)] for name, tensor in tensors}
        shared: dict[tuple[str, int], Spans] = {}
        for (key, axis), spans in self.places.items():
            _tie(shared.setdefault((keys[key], axis), spans), spans)
        bare = {keys.get(key) for key in self.bare}
        for (key, _), spans in shared.items():
            if key in bare:  # it is used outside its layer too
                _fix(spans)
        places: dict[_Span, list[ChannelPlace]] = {}
        for (key, axis), spans in shared.items():
            for span, start in _movable(spans):
                places.setdefault(span, []).append(ChannelPlace(key, axis, start))
        readers: dict[_Span, list[Reader]] = {span: [] for span in places}
        for name, spans in self.reads.values():
            for span, start in _movable(spans):
                readers[span].append(Reader(name.removeprefix(prefix), start))
        return [
            ChannelGroup(span.size, tuple(of_span), tuple(readers[span]))
            for span, of_span in places.items()
        ]

    def _known(self, node: fx.Node) -> Spans | None:
        """Returns the channels of a node's value; None if the node may do anything with them."""
        sources = node.all_input_nodes
        inputs = [self.at[source] for source in sources]
        if node.op == "call_module":
            return self._layer(node, *sources) if len(sources) == 1 else None
        if node.op not in ("call_function", "call_method"):
            return None
        reads_property = node.target is getattr and node.args[1] in _PROPERTIES
        if reads_property or node.target in ("size", "dim"):
            return ()
        if node.target in _CONCATENATIONS and _along_channels(node):
            return tuple(span for spans in inputs for span in spans)
        if node.target in _SUMS and _alike(sources):
            for one, two in pairwise(inputs):
                _tie(one, two)
            return inputs[0]
        hands_on = node.target in _FUNCTIONS or (node.target in _MEANS and _over_places(node))
        hands_on = hands_on and not any(inputs[1:]) and _alike([node, *sources[:1]], sides=2)
        return inputs[0] if hands_on else None

    def _layer(self, node: fx.Node, source: fx.Node) -> Spans | None:
        """Returns the channels of a layer's output, and notes their places in its tensors."""
        name, spans = str(node.target), self.at[source]
        layer = self.body.get_submodule(name)
        if isinstance(layer, _BatchNorm):
            return self._each(name, layer, spans)
        if isinstance(layer, _LAYERS):
            return spans if _alike([node, source], sides=2) else None
        plain = isinstance(layer, nn.Conv2d) or len(source.meta["shape"]) == 2  # else tokens
        if not isinstance(layer, nn.Conv2d | nn.Linear) or not plain:
            return None
        if not set(layer.state_dict()) <= {"weight", "bias"}:  # the weight may be computed
            return None
        outputs, inputs = layer.weight.shape[:2]
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            depthwise = layer.groups == layer.in_channels == outputs
            return self._each(name, layer, spans) if depthwise else None
        assert inputs == sum(span.size for span in spans)
        self._place(f"{name}.weight", 1, spans)
        self.reads.setdefault(source, (name, spans))
        return self._each(name, layer, (_Span(outputs),))

    def _each(self, name: str, layer: nn.Module, spans: Spans) -> Spans:
        """Notes that all tensors of a layer have an entry, or a row, per channel of its output."""
        for key, tensor in layer.state_dict().items():
            if tensor.ndim:
                self._place(f"{name}.{key}", 0, spans)
        return spans

    def _place(self, key: str, axis: int, spans: Spans) -> None:
        """Notes a place of channels; a layer that is called again has the same channels again."""
        _tie(self.places.setdefault((key, axis), spans), spans)


def _movable(spans: Spans) -> Iterable[tuple[_Span, int]]:
    """Yields the spans that may move, each with the index at which it begins."""
    start = 0
    for span in spans:
        if not span.top.fixed and span.size > 1:
            yield span.top, start
        start += span.size


def _alike(nodes: Sequence[fx.Node], *, sides: int | None = None) -> bool:
    """Says whether values agree in dimensions and channels, or in their first ``sides`` sides."""
    shapes = [node.meta["shape"] or () for node in nodes]
    wanted = {shape[:sides] if sides else (len(shape), shape[1:2]) for shape in shapes}
    return len(wanted) == 1 and all(len(shape) > 1 for shape in shapes)


def _over_places(node: fx.Node) -> bool:
    """Says whether a mean or a maximum is taken over positions alone, and not over channels."""
    sides = len(node.all_input_nodes[0].meta["shape"] or (1,))
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    over = (over,) if isinstance(over, int) else over
    return isinstance(over, tuple | list) and all(
        isinstance(side, int) and side % sides > 1 for side in over
    )


def _along_channels(node: fx.Node) -> bool:
    """Says whether a concatenation puts channels side by side."""
    along = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return isinstance(along, int) and along % len(node.meta["shape"]) == 1
