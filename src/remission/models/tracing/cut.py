"""How an image classifier is cut before its global pooling, into features and head."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, fx, nn

M = TypeVar("M", bound=nn.Module)
Layout = Literal["NCHW", "NHWC", "NCL", "NLC"]
"""Order of dimensions: N images, C channels, H height, W width, L tokens."""

_POOLS = (
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
)
_POOLING = {
    nn.functional.adaptive_avg_pool1d,
    nn.functional.adaptive_avg_pool2d,
    nn.functional.adaptive_max_pool1d,
    nn.functional.adaptive_max_pool2d,
    torch.mean,
    torch.amax,
    "mean",
    "amax",
}
_FIXED_POOLS = (nn.AvgPool2d, nn.MaxPool2d)
_FIXED_POOLING = {nn.functional.avg_pool2d, nn.functional.max_pool2d}
_RESHAPING = {torch.flatten, "flatten", "view", "reshape", "contiguous"}


class CannotSplitError(Exception):
    """The network has no place before which all is features and behind which all is head."""


@dataclass(frozen=True)
class Halves:
    """The two parts of a network as functions. They find its layers in the network they are given.

    Args:
        features: (network, images) -> the value at the cut.
        head: (network, the value at the cut) -> logits.
        layout: the order of dimensions of the value at the cut.
    """

    features: Callable[[nn.Module, Tensor], Tensor]
    head: Callable[[nn.Module, Tensor], Tensor]
    layout: Layout


def reason(error: Exception) -> str:
    """Returns the type and the first line of an error that somebody's code raised."""
    return f"{type(error).__name__}: " + (str(error).splitlines() or [""])[0]


def outline(net: M) -> M:
    """Returns a copy on the meta device, which computes shapes but no values, in almost no time."""
    return copy.deepcopy(net).to("meta")


def traced(
    net: nn.Module, shape: tuple[int, int, int], tracer: fx.Tracer | None = None
) -> fx.Graph:
    """Traces the graph of ``net`` for images of ``shape`` (C, H, W), in its present mode.

    Every node has the shape of its value as ``node.meta["shape"]``; None if that is no tensor.
    ``tracer`` decides which layers stay whole; by default these are torch's.

    Raises:
        CannotSplitError: the forward pass cannot be traced, or fails for such images.
    """
    try:
        graph = (tracer or fx.Tracer()).trace(net)
        with torch.device("meta"):
            _Shapes(outline(net), graph=graph).run(torch.empty(2, *shape))
    except Exception as error:  # whatever somebody's forward pass raises
        raise CannotSplitError(reason(error)) from error
    return graph


class _Shapes(fx.Interpreter):
    """An interpreter that runs a graph and notes at each node the shape of its value."""

    def run_node(self, n: fx.Node) -> object:
        """Computes the value of a node and notes its shape."""
        value = super().run_node(n)
        n.meta["shape"] = tuple(value.shape) if isinstance(value, Tensor) else None
        return value


def bottlenecks(graph: fx.Graph) -> list[fx.Node]:
    """Returns the nodes through which everything flows that comes from the images, in order.

    The number of images, which code reads off any tensor, does not count as coming from them.
    """
    order = {node: index for index, node in enumerate(graph.nodes)}
    aside = set(filter(_counts_images, graph.nodes))
    aside |= {node for node in graph.nodes if _reads_shape(node) and aside.issuperset(node.users)}
    flowing: dict[fx.Node, None] = {}
    for node in graph.nodes:
        comes = node.op == "placeholder" or any(n in flowing for n in node.all_input_nodes)
        if comes and node not in aside:
            flowing[node] = None
    narrow, reach = [], 0
    for node in flowing:  # reach: the last place where an earlier value is still used
        if reach <= order[node] and node.op not in ("placeholder", "output"):
            narrow.append(node)
        reach = max([reach, *(order[user] for user in node.users if user not in aside)])
    return narrow


def _reads_shape(node: fx.Node) -> bool:
    """Says whether a node is ``x.shape`` or ``x.size()``."""
    return (node.target is getattr and node.args[1] == "shape") or (
        node.op == "call_method" and node.target == "size" and len(node.args) == 1
    )


def _counts_images(node: fx.Node) -> bool:
    """Says whether a node is ``x.size(0)`` or ``x.shape[0]``."""
    if node.op == "call_method":
        return node.target == "size" and node.args[1:] == (0,)
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and _reads_shape(source) and node.args[1:] == (0,)


def last_linear(net: nn.Module, graph: fx.Graph) -> str:
    """Returns the name of the last linear layer through which everything flows.

    Raises:
        CannotSplitError: there is no such layer.
    """
    for node in reversed(bottlenecks(graph)):
        if node.op == "call_module" and isinstance(_layer(net, node), nn.Linear):
            return str(node.target)
    raise CannotSplitError("it does not end in a linear layer")


def halves(net: nn.Module, graph: fx.Graph) -> Halves:
    """Cuts the network before its last global pooling, or else at its last map.

    Raises:
        CannotSplitError: there is no such place.
    """
    (end,) = (node for node in graph.nodes if node.op == "output")
    if not isinstance(end.args[0], fx.Node) or len(end.args[0].meta["shape"] or ()) != 2:
        raise CannotSplitError("its result is not one tensor of logits")
    narrow = bottlenecks(graph)
    maps = [node for node in narrow if len(node.meta["shape"] or ()) in (3, 4)]
    if not maps:
        raise CannotSplitError("it has no feature map")
    pooled = [node.all_input_nodes[0] for node in narrow if _pools(net, node)]
    cut = next((node for node in reversed(pooled) if node in maps), maps[-1])
    cut = _unflattened(cut, maps)
    return Halves(
        features=_function(net, graph, None, cut),
        head=_function(net, graph, cut, end),
        layout=_layout(net, graph, cut),
    )


def _layer(net: nn.Module, node: fx.Node) -> nn.Module | None:
    return net.get_submodule(str(node.target)) if node.op == "call_module" else None


def _pools(net: nn.Module, node: fx.Node) -> bool:
    """Says whether a node pools over the whole map: adaptively, or by a window as large."""
    layer = _layer(net, node)
    if isinstance(layer, _POOLS) or (layer is None and node.target in _POOLING):
        return True
    fixed = isinstance(layer, _FIXED_POOLS) or (layer is None and node.target in _FIXED_POOLING)
    source = node.all_input_nodes[0].meta["shape"] if node.all_input_nodes else None
    if not fixed or node.meta["shape"] is None or source is None:
        return False
    return bool(node.meta["shape"][2:] == (1, 1) != source[2:])


def _unflattened(cut: fx.Node, maps: list[fx.Node]) -> fx.Node:
    """Returns the four-dimensional map that ``cut`` only reshapes to three, or else ``cut``."""
    node = cut
    while len(node.meta["shape"]) == 3 and node.target in _RESHAPING:
        if node.all_input_nodes[0] not in maps:
            return cut
        node = node.all_input_nodes[0]
    return node if len(node.meta["shape"]) == 4 else cut


def _layout(net: nn.Module, graph: fx.Graph, cut: fx.Node) -> Layout:
    """Returns the order of dimensions in which the head's first linear layer finds its inputs.

    Where this decides nothing, it is the usual one.
    """
    order = list(graph.nodes)
    behind = order[order.index(cut) + 1 :]
    layers = [layer for node in behind if isinstance(layer := _layer(net, node), nn.Linear)]
    shape, channels = cut.meta["shape"], layers[0].in_features if layers else 0
    if len(shape) == 4:
        return "NHWC" if shape[3] == channels != shape[1] else "NCHW"
    return "NCL" if shape[1] == channels != shape[2] else "NLC"


def _function(
    net: nn.Module, graph: fx.Graph, start: fx.Node | None, end: fx.Node
) -> Callable[[nn.Module, Tensor], Tensor]:
    """Returns the part from ``start`` (None: the images) to ``end``: (network, value) -> value."""
    needed, waiting = set[fx.Node](), [end]
    while waiting:
        node = waiting.pop()
        if node is not start and node not in needed:
            needed.add(node)
            if start is None or not _counts_images(node):
                waiting += node.all_input_nodes
    part, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    if start is not None:
        copies[start] = part.placeholder("features")
    for node in graph.nodes:
        if node in needed and start is not None and _counts_images(node):
            copies[node] = part.call_method("size", (copies[start], 0))
        elif node in needed:
            copies[node] = part.node_copy(node, copies.__getitem__)
    if end.op != "output":
        part.output(copies[end])
    function: Callable[[nn.Module, Tensor], Tensor] = type(fx.GraphModule(net, part)).forward
    return function
