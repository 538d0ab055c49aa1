"""The order of hidden channels in which two networks' activations are most alike or unlike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from remission.errors import DivergedError
from remission.models import ChannelGroup, evaluating
from remission.progress import tracked
from remission.training.assignment import assign
from remission.training.batches import batches
from remission.types import LabelledImages


def match(
    model: nn.Module,
    other: nn.Module,
    groups: Sequence[ChannelGroup],
    data: LabelledImages,
    *,
    alike: bool,
    batch_size: int = 50,
) -> list[Tensor]:
    """Returns for each group the order P of ``other``'s channels that brings activations nearest.

    P minimises sum |x - P x'|^2 over images, positions and all values that show the group, with x
    of ``model`` and x' of ``other``, both in eval mode. The norms do not depend on P, so P
    maximises the sum of <x_i, x'_P(i)>. This is an assignment problem, which is solved exactly.

    Args:
        model: the model to compare with; it stays as it is.
        other: the model whose channels are ordered; it stays as it is. It may be ``model``, and
            then one pass computes both activations.
        groups: the channel groups of both models.
        data: images on the models' device; labels are not used.
        alike: False: P maximises the distance instead.
        batch_size: images per forward pass.

    Returns:
        One permutation per group, (size,) int64.

    Raises:
        DivergedError: an activation is not finite.
    """
    products = inner_products(model, other, groups, data, batch_size)
    if not all(bool(torch.isfinite(product).all()) for product in products):
        raise DivergedError("the model's activations are not finite; use a smaller lr")
    return [
        torch.from_numpy(assign(-p if alike else p)) for p in (p.cpu().numpy() for p in products)
    ]


@torch.no_grad()
def inner_products(
    model: nn.Module,
    other: nn.Module,
    groups: Sequence[ChannelGroup],
    data: LabelledImages,
    batch_size: int,
) -> list[Tensor]:
    """Returns per group the inner products of all pairs of channels, (size, size) float64."""
    device = data.labels.device
    products = [torch.zeros(g.size, g.size, dtype=torch.float64, device=device) for g in groups]
    with evaluating(model, other), inputs_of(model, groups) as xs, inputs_of(other, groups) as ys:
        stream = batches(data, batch_size, generator=None)
        for images, _ in tracked(stream, "", -(-len(data) // batch_size)):
            model(images)
            if other is not model:
                other(images)
            for group, product in zip(groups, products, strict=True):
                for reader in group.readers:
                    x = by_channel(xs[reader.layer], reader.start, group.size)
                    y = by_channel(ys[reader.layer], reader.start, group.size)
                    product.add_(x @ y.T)
    return products


def by_channel(values: Tensor, start: int, size: int) -> Tensor:
    """Returns the channels from ``start`` of (N, C, ...) values as (size, n), at least in fp32."""
    part = values[:, start : start + size].transpose(0, 1).flatten(1)
    return part.to(torch.promote_types(part.dtype, torch.float32))


@contextmanager
def inputs_of(model: nn.Module, groups: Sequence[ChannelGroup]) -> Iterator[dict[str, Tensor]]:
    """Yields a dictionary: name of each layer that reads a group -> its latest input."""
    latest: dict[str, Tensor] = {}
    layers = {reader.layer for group in groups for reader in group.readers}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del layer
            latest[name] = inputs[0]

        return model.get_submodule(name).register_forward_pre_hook(note)

    handles = [watch(name) for name in sorted(layers)]
    try:
        yield latest
    finally:
        for handle in handles:
            handle.remove()
