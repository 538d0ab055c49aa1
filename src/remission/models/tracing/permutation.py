"""Permutations of hidden channels, which do not change what a network computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from remission.errors import SpecError
from remission.models.classifier import Classifier
from remission.models.pointwise import PointwiseConv
from remission.models.tracing.channels import ChannelFlow, ChannelGroup
from remission.models.tracing.cut import CannotSplitError, outline, traced


@torch.no_grad()
def permute(model: nn.Module, groups: Sequence[ChannelGroup], orders: Sequence[Tensor]) -> None:
    """Puts channels into another order: channel ``order[i]`` becomes channel i.

    Args:
        model: the model, which is changed in place.
        groups: channel groups of this model, or of one with the same layers.
        orders: for each group a permutation of its channels, (size,) int64.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for group, order in zip(groups, orders, strict=True):
        for place in group.places:
            values = tensors[place.key].narrow(place.axis, place.start, group.size)
            values.copy_(values.index_select(place.axis, order.to(values.device)))


def channel_groups(model: Classifier) -> list[ChannelGroup]:
    """Returns the hidden channels that can change places, in groups that must move together.

    Raises:
        SpecError: the forward pass cannot be traced, or depends on the order of all channels.
    """
    try:
        body = _Body(outline(model).float()).eval()
        graph = traced(body, model.shape, _Tracer())
    except CannotSplitError as error:
        groups, reason = [], str(error)
    else:
        groups, reason = ChannelFlow(body, graph).groups(model, "net."), "their order matters"
    if not groups:
        raise SpecError(
            f"the channels of {model.arch} cannot change places: {reason}",
            "use a model of convolutions and batch norm, for example resnet18",
        )
    return groups


class _Body(nn.Module):
    """A classifier without its normalisation, which the graph need not show."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, normal: Tensor) -> Tensor:
        return self.net.head(self.net.feature_map(normal))


class _Tracer(fx.Tracer):
    """A tracer that keeps our own convolution whole, as it keeps torch's layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PointwiseConv) or super().is_leaf_module(m, module_qualified_name)
