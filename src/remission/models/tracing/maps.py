"""The last feature map of each resolution of a network, found by following the data.

One forward pass is watched, operation by operation. A map is a value through which everything
flows that comes from the images. Among the maps that are the input or the output of some layer, the
last one of each resolution is where that stage of the network ends, however the network is written.
Outputs of layer normalisation do not count, since it makes all positions of a map equally strong.
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
from remission.models.states import evaluating

End = Literal["input", "output"]
Watcher = Callable[[str, int, End, nn.Module, object], None]
"""Called with a layer's name, the number of this call of it, the end, the layer, and the value."""

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)


@dataclass(frozen=True)
class MapSite:
    """A point in the forward pass where a feature map passes.

    Args:
        layer: the name of a module.
        call: the number of its call in a forward pass, from 0.
        end: whether the map is the input or the output of the layer.
        channels: the dimension of the map in which the channels lie.
        positions: number of positions of the map: height times width, or tokens.
    """

    layer: str
    call: int
    end: End
    channels: int
    positions: int


def stage_maps(model: Classifier) -> list[MapSite]:
    """Finds the last map of each resolution with several positions, in the order of the pass."""
    watch = _Watch(torch.zeros(2, *model.shape, dtype=model.mean.dtype, device=model.mean.device))
    with evaluating(model), torch.no_grad(), _watched(model, watch.see), watch.flow:
        model.features(watch.flow.images)
    last: dict[int, tuple[int, MapSite]] = {}
    for value, site in watch.sites.items():
        if watch.flow.is_bottleneck(value) and site.positions > 1:
            last[site.positions] = max(
                last.get(site.positions, (-1, site)), (value, site), key=lambda entry: entry[0]
            )
    return [site for _, site in sorted(last.values(), key=lambda entry: entry[0])]


def features_and_maps(
    model: Classifier, images: Tensor, sites: list[MapSite]
) -> tuple[Tensor, list[Tensor]]:
    """Returns ``model.features`` of the images, and the maps, each (N, D, positions)."""
    index = {(site.layer, site.call, site.end): i for i, site in enumerate(sites)}
    maps: dict[int, Tensor] = {}

    def note(name: str, call: int, end: End, layer: nn.Module, value: object) -> None:
        del layer
        i = index.get((name, call, end))
        if i is not None and isinstance(value, Tensor):
            maps[i] = value

    with _watched(model, note, {site.layer for site in sites}):
        features = model.features(images)
    return features, [maps[i].movedim(site.channels, 1).flatten(2) for i, site in enumerate(sites)]


@contextmanager
def _watched(model: nn.Module, watcher: Watcher, only: set[str] | None = None) -> Iterator[None]:
    """Shows ``watcher`` inputs and outputs of the layers whose names are in ``only``; None: of all.

    Hooks are removed at the end, even after an error.
    """
    calls, handles = Counter[str](), []

    def hook(name: str, layer: nn.Module) -> None:
        def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            watcher(name, calls[name], "input", module, inputs[0] if inputs else None)

        def after(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            del inputs
            calls[name] += 1
            watcher(name, calls[name] - 1, "output", module, output)

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
    """A mode that numbers the values coming from the images, and notes when each is made and used.

    A value that is changed in place counts as another value from then on.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.images = images
        self.number = {id(images): 0}
        self._alive, self._first, self._last, self._step = [images], [0], [0], 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Runs one operation, and numbers its results if it uses a value from the images."""
        self._step += 1
        leaves = tree_leaves((args, kwargs))
        used = [self.number[id(v)] for v in leaves if id(v) in self.number]
        for value in used:
            self._last[value] = self._step
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out) if used else []:
            if isinstance(value, Tensor):
                self._alive.append(value)  # so that no other value gets its id
                self.number[id(value)] = len(self._first)
                self._first.append(self._step)
                self._last.append(self._step)
        return out

    def is_bottleneck(self, value: int) -> bool:
        """Says whether no value made before this one, or with it, is used after it was made."""
        made = self._first[value]
        return all(
            self._last[other] <= made
            for other, first in enumerate(self._first)
            if first <= made and other != value
        )


class _Watch:
    """A watcher that collects the maps at the ends of layers, by the number of their value."""

    def __init__(self, images: Tensor) -> None:
        self.flow = _Flow(images)
        self.sites: dict[int, MapSite] = {}
        self._normal: set[int] = set()
        self._layer: nn.Conv2d | nn.Linear | None = None  # the last one that had an output

    def see(self, name: str, call: int, end: End, layer: nn.Module, value: object) -> None:
        """Notes one value."""
        number = self.flow.number.get(id(value))
        if end == "output" and isinstance(layer, nn.Conv2d | nn.Linear):
            self._layer = layer
        if number is None or not isinstance(value, Tensor) or value.ndim not in (3, 4):
            return
        kind = type(layer).__name__.lower()
        if end == "output" and ("layernorm" in kind or "rmsnorm" in kind):
            self._normal.add(number)
        known = number in self.sites and type(layer) not in _CHANNELS_LAST
        if self._layer is None or number in self._normal or known:
            return
        channels = _channels(value, layer, self._layer)
        positions = math.prod(value.shape[1:]) // value.shape[channels]
        self.sites[number] = MapSite(name, call, end, channels, positions)


def _channels(value: Tensor, layer: nn.Module, before: nn.Conv2d | nn.Linear) -> int:
    """Returns the dimension of a map's channels, by the layer at whose end it is or the one before.

    Convolutions have channels in dimension 1, linear layers in the last one. But a block of linear
    layers may move the channels to the front again: then dimension 1 has as many entries as the
    layer before has outputs.
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
