"""Models of other packages, ``timm:NAME`` and ``torchvision:NAME``: imported only where named.

``timm:resnet18`` and ``torchvision:swin_t`` have random first weights. Pretrained weights are used
only where the name says so, and that package fetches them into its own cache:
``torchvision:swin_t@IMAGENET1K_V1`` names weights of torchvision (``@DEFAULT``: the best that the
installed version knows), ``timm:resnet18.a1_in1k@pretrained`` those of a timm model. A pretrained
model normalises images as in its pretraining, whatever the data set.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from remission.errors import SpecError
from remission.models.tracing.adapter import Adapted
from remission.types import Shape

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation, one number per channel."""


@dataclass(frozen=True)
class Foreign:
    """A model of another package.

    Args:
        package: ``timm`` or ``torchvision``.
        name: what the package calls the model.
        weights: the name of pretrained weights; "": random weights.
    """

    package: str
    name: str
    weights: str

    def __str__(self) -> str:
        """Returns the whole name, as a spec has it."""
        return f"{self.package}:{self.name}" + (f"@{self.weights}" if self.weights else "")


def parse_foreign(arch: str) -> Foreign:
    """Splits ``"torchvision:swin_t@DEFAULT"`` into its three parts.

    Raises:
        SpecError: a name has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    package, _, rest = arch.partition(":")
    parts = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:@([A-Za-z0-9_]+))?", rest)
    if not parts:
        raise SpecError(
            f"'{arch}' names no model of {package}",
            f"write {package}:NAME, or {package}:NAME@{_PRETRAINED[package]} for pretrained "
            "weights; a name holds letters, digits, '_', '.' and '-'",
        )
    return Foreign(package, parts[1], parts[2] or "")


def build_foreign(
    arch: str,
    *,
    classes: int,
    shape: Shape,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Adapted:
    """Builds a model and adapts it to classes and images; see :class:`Adapted`.

    Raises:
        SpecError: the package is not installed, has no such model or weights, or the model does
            not fit the images.
    """
    foreign, device = parse_foreign(arch), torch.empty(0).device
    with torch.device("cpu"):  # their constructors compute with values
        net, published = _MAKERS[foreign.package](foreign, classes, shape, device.type == "meta")
    if published:
        mean, std = (_per_channel(values, shape[0]) for values in published)
    return Adapted(net.to(device), arch=arch, classes=classes, shape=shape, mean=mean, std=std)


def _per_channel(values: Iterable[float], channels: int) -> tuple[float, ...]:
    """Returns one number per channel; for grey images the mean over the colours."""
    colours = tuple(values)
    return colours if len(colours) == channels else (sum(colours) / len(colours),) * channels


def _imported(package: str) -> Any:  # noqa: ANN401
    """Imports a package and returns it.

    Raises:
        SpecError: the package is not installed, or its import fails.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise SpecError(
            f"{package} is not installed ({error})", f"pip install 'remission[{package}]'"
        ) from error
    except Exception as error:  # a build for another version of torch fails in many ways
        raise SpecError(
            f"{package} is installed, but its import fails ({error})",
            f"install the build that belongs to torch {torch.__version__}",
        ) from error


def _unknown(foreign: Foreign, known: Iterable[str], what: str) -> SpecError:
    """Returns an error with all known weights, or with the nearest names of the many models."""
    if what == "weights":
        return SpecError(
            f"{foreign.package}:{foreign.name} has no weights '{foreign.weights}'",
            f"use one that exists (known: {', '.join(known)})",
        )
    near = difflib.get_close_matches(foreign.name, list(known), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "use a name from its documentation"
    return SpecError(f"{foreign.package} has no {what} '{foreign.name}'", hint)


def _fetched(foreign: Foreign, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Returns the result of ``make``, which fetches pretrained weights.

    Raises:
        SpecError: the pretrained weights do not come, or there is no folder to keep them in.
    """
    folder = _HOMES[foreign.package]
    homeless = os.path.expanduser("~") == "~"  # noqa: PTH111 -- pathlib's raises instead
    if foreign.weights and homeless and not {folder, "XDG_CACHE_HOME"} & set(os.environ):
        raise SpecError(
            f"there is no folder for the pretrained weights of {foreign}: this user has no home",
            f"set {folder} to a folder that can be written, or HOME",
        )
    try:
        return make()
    except (OSError, RuntimeError) as error:  # no network, no such file, a wrong checksum
        raise SpecError(
            f"the pretrained weights of {foreign} cannot be fetched ({error})",
            f"check the network, or use random weights: {foreign.package}:{foreign.name}",
        ) from error


def _sized(make: Callable[..., nn.Module], option: str, size: object) -> nn.Module:
    """Returns ``make(option=size)``, or ``make()`` where the model has no such option."""
    try:
        return make(**{option: size})
    except TypeError as error:
        if option not in str(error):
            raise
        return make()


def _torchvision(
    foreign: Foreign, classes: int, shape: Shape, shapes_only: bool
) -> tuple[nn.Module, Normalisation | None]:
    del classes  # the head is replaced
    models = _imported("torchvision").models
    known = models.list_models(module=models)
    if foreign.name not in known:
        raise _unknown(foreign, known, "model")
    if not foreign.weights:
        height, width = shape[1:]
        if height != width:
            return models.get_model(foreign.name, weights=None), None
        make = lambda **size: models.get_model(foreign.name, weights=None, **size)  # noqa: E731
        return _sized(make, "image_size", height), None
    options = models.get_model_weights(foreign.name)
    if foreign.weights not in options.__members__:
        raise _unknown(foreign, options.__members__, "weights")
    weights = options[foreign.weights]
    net = models.get_model(foreign.name, weights=None)
    if not shapes_only:
        # nothing is unpickled, and the checksum in the file's name is compared
        fetch = lambda: weights.get_state_dict(  # noqa: E731
            progress=False, check_hash=True, weights_only=True
        )
        net.load_state_dict(_fetched(foreign, fetch))
    preset = weights.transforms()
    return net, (tuple(preset.mean), tuple(preset.std))


def _timm(
    foreign: Foreign, classes: int, shape: Shape, shapes_only: bool
) -> tuple[nn.Module, Normalisation | None]:
    timm = _imported("timm")
    if not timm.is_model(foreign.name):
        raise _unknown(foreign, timm.list_models(), "model")
    if foreign.weights not in ("", "pretrained"):
        raise _unknown(foreign, ["pretrained"], "weights")
    pretrained = bool(foreign.weights) and not shapes_only
    make = lambda **size: timm.create_model(  # noqa: E731
        foreign.name, pretrained=pretrained, num_classes=classes, in_chans=shape[0], **size
    )
    net = _fetched(foreign, lambda: _sized(make, "img_size", shape[1:]))
    if not foreign.weights:
        return net, None
    published = net.pretrained_cfg
    return net, (tuple(published["mean"]), tuple(published["std"]))


_MAKERS = {"timm": _timm, "torchvision": _torchvision}
_HOMES = {"timm": "HF_HOME", "torchvision": "TORCH_HOME"}
"""The variable that names the folder where each package keeps what it downloads."""
_PRETRAINED = {"timm": "pretrained", "torchvision": "DEFAULT"}
PACKAGES = tuple(_MAKERS)
