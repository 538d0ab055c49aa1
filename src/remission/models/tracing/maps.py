"""The last feature map of each resolution of a network, found by following the data.

One forward pass is watched, operation by operation. A map is a value through which everything
flows that comes from the images; of those that some layer takes or gives, the last one of each
resolution is where that stage of the network ends, however the network is written. Values fresh
from layer normalisation do not count: it makes all places of a map equally strong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from remission.models.classifier import Classifier

End = Literal["given", "gave"]
Watcher = Callable[[str, int, End, nn.Module, object], None]
"""Called with a layer's name, which of its calls it is, the value's end, the layer, the value."""

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)


@dataclass(frozen=True)
class MapSite:
    """Where a feature map passes in every forward pass.

    Args:
        layer: the name of a module.
        call: which of its calls in a forward pass, from 0.
        end: whether the map is what the layer is given, or what it gave.
        channels: the dimension of the channels.
        places: how many places the map has: height times width, or tokens.
    """

    layer: str
    call: int
    end: End
    channels: int
    places: int


def stage_maps(model: Classifier) -> list[MapSite]:
    """The last map of each resolution with more than one place, from the first to the last."""
    watch = _Watch(torch.zeros(2, *model.shape, dtype=model.mean.dtype, device=model.mean.device))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), _watched(model, watch.see), watch.flow:
            model.features(watch.flow.images)
    finally:
        model.train(was_training)
    last: dict[int, tuple[int, MapSite]] = {}
    for value, site in watch.sites.items():
        if watch.flow.is_bottleneck(value) and site.places > 1:
            last[site.places] = max(
                last.get(site.places, (-1, site)), (value, site), key=lambda each: each[0]
            )
    return [site for _, site in sorted(last.values(), key=lambda each: each[0])]


def features_and_maps(
    model: Classifier, images: Tensor, sites: list[MapSite]
) -> tuple[Tensor, list[Tensor]]:
    """What ``model.features`` gives, and the maps at ``sites`` on the way, each (N, D, places)."""
    places = {(site.layer, site.call, site.end): i for i, site in enumerate(sites)}
    found: dict[int, Tensor] = {}

    def keep(name: str, call: int, end: End, layer: nn.Module, value: object) -> None:
        del layer
        place = places.get((name, call, end))
        if place is not None and isinstance(value, Tensor):
            found[place] = value

    with _watched(model, keep, {site.layer for site in sites}):
        features = model.features(images)
    return features, [found[i].movedim(site.channels, 1).flatten(2) for i, site in enumerate(sites)]


@contextmanager
def _watched(model: nn.Module, watcher: Watcher, only: set[str] | None = None) -> Iterator[None]:
    """Tells ``watcher`` what layers (those named in ``only``, or all) are given and what they give.

    Hooks are removed at the end, also after an error.
    """
    calls, handles = Counter[str](), []

    def hook(name: str, layer: nn.Module) -> None:
        def before(module: nn.Module, given: tuple[Any, ...]) -> None:
            watcher(name, calls[name], "given", module, given[0] if given else None)

        def after(module: nn.Module, given: tuple[Any, ...], gave: object) -> None:
            del given
            calls[name] += 1
            watcher(name, calls[name] - 1, "gave", module, gave)

        handles.extend(
            [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
        )

    for name, layer in model.named_modules():
        if only is None or name in only:
            hook(name, layer)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Flow(TorchDispatchMode):
    """Numbers the values that come from the images, and notes when each was made and last used.

    A value that is changed in place is another value from then on.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.images = images
        self.number = {id(images): 0}
        self._alive, self._made, self._used, self._step = [images], [0], [0], 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Runs one operation."""
        self._step += 1
        leaves = tree_leaves((args, kwargs))
        given = [self.number[id(v)] for v in leaves if id(v) in self.number]
        for value in given:
            self._used[value] = self._step
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out) if given else []:
            if isinstance(value, Tensor):
                self._alive.append(value)  # so that no other value gets its id
                self.number[id(value)] = len(self._made)
                self._made.append(self._step)
                self._used.append(self._step)
        return out

    def is_bottleneck(self, value: int) -> bool:
        """Whether nothing made before this value, or with it, is used after it was made."""
        made = self._made[value]
        return all(
            self._used[other] <= made
            for other, then in enumerate(self._made)
            if then <= made and other != value
        )


class _Watch:
    """Collects the maps that layers take and give, by the number of their value."""

    def __init__(self, images: Tensor) -> None:
        self.flow = _Flow(images)
        self.sites: dict[int, MapSite] = {}
        self._normal: set[int] = set()
        self._layer: nn.Conv2d | nn.Linear | None = None  # the last one that gave something

    def see(self, name: str, call: int, end: End, layer: nn.Module, value: object) -> None:
        """Notes one value."""
        number = self.flow.number.get(id(value))
        if end == "gave" and isinstance(layer, nn.Conv2d | nn.Linear):
            self._layer = layer
        if number is None or not isinstance(value, Tensor) or value.ndim not in (3, 4):
            return
        kind = type(layer).__name__.lower()
        if end == "gave" and ("layernorm" in kind or "rmsnorm" in kind):
            self._normal.add(number)
        known = number in self.sites and type(layer) not in _CHANNELS_LAST
        if self._layer is None or number in self._normal or known:
            return
        channels = _channels(value, layer, self._layer)
        places = math.prod(value.shape[1:]) // value.shape[channels]
        self.sites[number] = MapSite(name, call, end, channels, places)


def _channels(value: Tensor, layer: nn.Module, before: nn.Conv2d | nn.Linear) -> int:
    """The dimension of a map's channels, told by who takes or gives it, or by the layer before it.

    Convolutions have channels first, linear layers last; but a block of linear layers may turn the
    map again: then as many lie first as the layer before has outputs.
    """
    shape = value.shape
    if isinstance(layer, nn.Conv2d | _BatchNorm):
        return 1
    if type(layer) in _CHANNELS_LAST:
        return value.ndim - 1
    if value.ndim == 4 and isinstance(before, nn.Conv2d):
        return 1
    width = before.out_features if isinstance(before, nn.Linear) else before.out_channels
    square = value.ndim == 4 and shape[1] == shape[2]  # height and width
    return 1 if shape[1] == width != shape[-1] and not square else value.ndim - 1
