"""Permutations of hidden channels that leave what a network computes as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from remission.errors import SpecError
from remission.models.classifier import Classifier
from remission.models.pointwise import PointwiseConv
from remission.models.tracing.channels import ChannelGroup, Channels
from remission.models.tracing.cut import CannotSplitError, outline, traced


@torch.no_grad()
def permute(model: nn.Module, groups: Sequence[ChannelGroup], orders: Sequence[Tensor]) -> None:
    """Puts channels into another order: what was channel ``order[i]`` becomes channel i.

    Args:
        model: changed in place.
        groups: of this model, or of one with the same layers.
        orders: for each group a permutation of its channels.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for group, order in zip(groups, orders, strict=True):
        for part in group.parts:
            place = tensors[part.key].narrow(part.axis, part.start, group.size)
            place.copy_(place.index_select(part.axis, order.to(place.device)))


def channel_groups(model: Classifier) -> list[ChannelGroup]:
    """The hidden channels of ``model`` that can change places, by what must change together.

    Raises:
        SpecError: the forward pass cannot be followed, or depends on the order of all channels.
    """
    try:
        body = _Body(outline(model).float()).eval()
        graph = traced(body, model.shape, _Tracer())
    except CannotSplitError as error:
        found, why = [], str(error)
    else:
        found, why = Channels(body, graph).groups(model, "net."), "their order matters"
    if not found:
        raise SpecError(
            f"the channels of {model.arch} cannot change places: {why}",
            "use a model of convolutions and batch norm, for example resnet18",
        )
    return found


class _Body(nn.Module):
    """A classifier behind its normalisation."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, normal: Tensor) -> Tensor:
        return self.net.head(self.net.feature_map(normal))


class _Tracer(fx.Tracer):
    """Keeps our own convolution whole, as torch's are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PointwiseConv) or super().is_leaf_module(m, module_qualified_name)
