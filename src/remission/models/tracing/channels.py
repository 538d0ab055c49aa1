"""Which channels of a network belong together, followed along the graph of its forward pass.

A convolution or a linear layer writes new channels; what treats every channel by itself hands them
on; a sum ties the channels of its terms together, a concatenation puts them side by side. Anything
else may depend on their order: the channels that flow into it keep their places, as do the images'
and the logits.
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
class Part:
    """Where a group's channels lie in a tensor of the state dict: on ``axis``, from ``start``."""

    key: str
    axis: int
    start: int


@dataclass(frozen=True)
class Reader:
    """A layer in whose input a group's channels lie, along axis 1 from ``start``."""

    layer: str
    start: int


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can be put into another order, the same one in all their places.

    Args:
        size: number of channels.
        parts: all places in the state dict.
        readers: one layer for each value that shows them, in the order of the forward pass.
    """

    size: int
    parts: tuple[Part, ...]
    readers: tuple[Reader, ...]


class _Run:
    """Channels side by side; runs that were tied together point to one of them, the top."""

    def __init__(self, size: int, *, fixed: bool = False) -> None:
        self.size, self.fixed = size, fixed
        self.above: _Run | None = None

    @property
    def top(self) -> _Run:
        """The run that stands for all that are tied to this one."""
        run = self
        while run.above is not None:
            run = run.above
        return run


Layout = tuple[_Run, ...]
"""What lies along axis 1 of a value; nothing, if it is no tensor of at least two dimensions."""

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
"""What hands each channel on, as long as the first two sides of its result are its input's."""
_MEANS = {torch.mean, torch.amax, "mean", "amax"}
_SUMS = {
    operator.add, operator.iadd, operator.imul, operator.isub, operator.mul, operator.sub,
    operator.truediv, torch.add, torch.mul, torch.sub, "add", "add_", "mul", "mul_", "sub",
}  # fmt: skip
_CONCATENATIONS = {torch.cat, torch.concat}
_TELLING = {"shape", "device", "dtype", "ndim"}


def _fix(layout: Layout) -> None:
    for run in layout:
        run.top.fixed = True


def _tie(one: Layout, two: Layout) -> None:
    """The same channels in both; nothing moves where they are not cut alike."""
    if [run.size for run in one] != [run.size for run in two]:
        _fix(one + two)
        return
    for a, b in zip(one, two, strict=True):
        top, other = a.top, b.top
        if top is not other:
            other.above = top
            top.fixed |= other.fixed


class Channels:
    """Follows the channels of every value through a graph.

    Args:
        body: what was traced.
        graph: of it, with the shapes of all values: :func:`remission.models.tracing.cut.traced`.
    """

    def __init__(self, body: nn.Module, graph: fx.Graph) -> None:
        self.body = body
        self.at: dict[fx.Node, Layout] = {}
        self.parts: dict[tuple[str, int], Layout] = {}
        self.reads: dict[fx.Node, tuple[str, Layout]] = {}
        for node in graph.nodes:
            found = self._known(node)
            if found is None:  # what it does with its channels is unknown
                for source in node.all_input_nodes:
                    _fix(self.at[source])
                shape: tuple[int, ...] = node.meta["shape"] or ()
                found = (_Run(shape[1], fixed=True),) if len(shape) > 1 else ()
            self.at[node] = found
        self.bare = {str(node.target) for node in graph.nodes if node.op == "get_attr"}

    def groups(self, model: nn.Module, prefix: str) -> list[ChannelGroup]:
        """What may move, in the names of ``model``, which begin with ``prefix`` in the graph.

        A tensor that ``model`` has under several names is known by the first of them.
        """
        named: list[tuple[str, Tensor]] = [*model.named_parameters(remove_duplicate=False)]
        named += model.named_buffers(remove_duplicate=False)
        first = {id(tensor): name for name, tensor in reversed(named)}
        keys = {prefix + name: first[id(tensor)] for name, tensor in named}
        shared: dict[tuple[str, int], Layout] = {}
        for (key, axis), layout in self.parts.items():
            _tie(shared.setdefault((keys[key], axis), layout), layout)
        bare = {keys.get(key) for key in self.bare}
        for (key, _), layout in shared.items():
            if key in bare:  # it is used outside its layer too
                _fix(layout)
        parts: dict[_Run, list[Part]] = {}
        for (key, axis), layout in shared.items():
            for run, start in _movable(layout):
                parts.setdefault(run, []).append(Part(key, axis, start))
        readers: dict[_Run, list[Reader]] = {run: [] for run in parts}
        for name, layout in self.reads.values():
            for run, start in _movable(layout):
                readers[run].append(Reader(name.removeprefix(prefix), start))
        return [
            ChannelGroup(run.size, tuple(places), tuple(readers[run]))
            for run, places in parts.items()
        ]

    def _known(self, node: fx.Node) -> Layout | None:
        """The channels of a node's value; None if the node may do anything with them."""
        sources = node.all_input_nodes
        layouts = [self.at[source] for source in sources]
        if node.op == "call_module":
            return self._layer(node, *sources) if len(sources) == 1 else None
        if node.op not in ("call_function", "call_method"):
            return None
        if node.target in ("size", "dim") or (node.target is getattr and node.args[1] in _TELLING):
            return ()
        if node.target in _CONCATENATIONS and _along_channels(node):
            return tuple(run for layout in layouts for run in layout)
        if node.target in _SUMS and _alike(sources):
            for one, two in pairwise(layouts):
                _tie(one, two)
            return layouts[0]
        handed = node.target in _FUNCTIONS or (node.target in _MEANS and _over_places(node))
        handed = handed and not any(layouts[1:]) and _alike([node, *sources[:1]], sides=2)
        return layouts[0] if handed else None

    def _layer(self, node: fx.Node, source: fx.Node) -> Layout | None:
        """The channels that a layer gives, its tensors' places noted."""
        name, layout = str(node.target), self.at[source]
        layer = self.body.get_submodule(name)
        if isinstance(layer, _BatchNorm):
            return self._each(name, layer, layout)
        if isinstance(layer, _LAYERS):
            return layout if _alike([node, source], sides=2) else None
        plain = isinstance(layer, nn.Conv2d) or len(source.meta["shape"]) == 2  # or tokens
        if not isinstance(layer, nn.Conv2d | nn.Linear) or not plain:
            return None
        if not set(layer.state_dict()) <= {"weight", "bias"}:  # computed from other tensors
            return None
        outputs, inputs = layer.weight.shape[:2]
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            depthwise = layer.groups == layer.in_channels == outputs
            return self._each(name, layer, layout) if depthwise else None
        assert inputs == sum(run.size for run in layout)
        self._place(f"{name}.weight", 1, layout)
        self.reads.setdefault(source, (name, layout))
        return self._each(name, layer, (_Run(outputs),))

    def _each(self, name: str, layer: nn.Module, layout: Layout) -> Layout:
        """All tensors of a layer have an entry, or a row, for each channel that it gives."""
        for key, tensor in layer.state_dict().items():
            if tensor.ndim:
                self._place(f"{name}.{key}", 0, layout)
        return layout

    def _place(self, key: str, axis: int, layout: Layout) -> None:
        """A layer that is called again has the same channels again."""
        _tie(self.parts.setdefault((key, axis), layout), layout)


def _movable(layout: Layout) -> Iterable[tuple[_Run, int]]:
    """The runs that may move, each with the place where it begins."""
    start = 0
    for run in layout:
        if not run.top.fixed and run.size > 1:
            yield run.top, start
        start += run.size


def _alike(nodes: Sequence[fx.Node], *, sides: int | None = None) -> bool:
    """Whether values have as many dimensions and channels, or the same first ``sides`` sides."""
    shapes = [node.meta["shape"] or () for node in nodes]
    wanted = {shape[:sides] if sides else (len(shape), shape[1:2]) for shape in shapes}
    return len(wanted) == 1 and all(len(shape) > 1 for shape in shapes)


def _over_places(node: fx.Node) -> bool:
    """Whether a mean or a maximum is taken over places alone."""
    sides = len(node.all_input_nodes[0].meta["shape"] or (1,))
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    over = (over,) if isinstance(over, int) else over
    return isinstance(over, tuple | list) and all(
        isinstance(side, int) and side % sides > 1 for side in over
    )


def _along_channels(node: fx.Node) -> bool:
    """Whether a concatenation puts channels side by side."""
    along = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return isinstance(along, int) and along % len(node.meta["shape"]) == 1
