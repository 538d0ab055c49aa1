"""From a recognised state dict to a classifier with its weights, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from remission.models import MODELS, Classifier, Precision, canonical_arch, in_channels_last
from remission.models.imagenet.resized import Resized
from remission.models.source import SourceTensor, WeightSource
from remission.recognise.errors import ArchitectureError
from remission.recognise.families.reading import Size
from remission.recognise.match import Recognised, fit
from remission.recognise.pairing import Pairing, shapes_of
from remission.recognise.prefixes import Stripped


def build(
    recognised: Recognised,
    *,
    size: Size | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    precision: Precision = "fp32",
) -> Classifier:
    """Builds the recognised network with the weights of its state dict, in eval mode.

    Its logits are those of the network that the weights were trained in, in eval mode, if what no
    tensor says (see ``evidence``) is as assumed.

    Args:
        recognised: what :func:`remission.recognise.recognise` returns.
        size: (H, W) of the images; None: what the tensors say.
        mean: the mean to subtract from images in [0, 1], one number per channel; None: that of the
            normalisation layer in the state dict.
        std: the standard deviation to divide by; likewise.
        precision: the precision of the forward pass.

    Raises:
        ArchitectureError: size or normalisation are neither given nor in the tensors, the network
            takes no images of this size, or values are not finite numbers.
    """
    reading, stripped = recognised.reading, recognised.stripped
    mean, std = _normalisation(recognised, mean, std)
    wanted = size or recognised.size
    if wanted is None:
        raise ArchitectureError(
            f"the tensors of {recognised.arch} do not say how large the images are",
            "give height and width of the images",
        )
    fixed = recognised.size or wanted
    resizes = wanted != fixed
    if resizes and not stripped.follows:
        raise ArchitectureError(
            f"{recognised.arch} takes images of {_written(fixed)}, these have {_written(wanted)}",
            f"resize the images to {_written(fixed)}",
        )
    pairs = fit(reading, shapes_of(stripped.tensors), fixed)
    if not pairs.fits:
        raise ArchitectureError(
            f"the weights of {recognised.arch} are not for images of {_written(fixed)}: "
            f"{pairs.problem}",
            "give the height and width of the images that it was trained with",
        )
    common = {"arch": recognised.arch, "classes": recognised.classes, "mean": mean, "std": std}
    model = reading.make(**common, shape=(recognised.channels, *fixed))
    load(model, pairs, stripped.tensors)
    inside = ""
    if resizes:
        model = Resized(model, **common, shape=(recognised.channels, *wanted))
        inside = "net."
    model.source = source_of(recognised.layout, stripped, pairs, inside)
    model.by_name = not resizes and _has_name(recognised.arch)
    model.precision = precision
    return in_channels_last(model).eval()


def _normalisation(
    recognised: Recognised, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and std: those of the state dict, else the given ones.

    Raises:
        ArchitectureError: there are none, both have them, or they are not one per channel.
    """
    inside = recognised.mean is not None and recognised.std is not None
    if inside and (mean or std):
        raise ArchitectureError(
            "the state dict has a normalisation layer, and mean or std are given too",
            "leave out mean and std",
        )
    mean, std = (recognised.mean, recognised.std) if inside else (mean, std)
    if mean is None or std is None:
        raise ArchitectureError(
            "no tensor says how images are normalised", "give mean and std, one per channel"
        )
    channels = recognised.channels
    mean = mean * channels if len(mean) == 1 else mean
    std = std * channels if len(std) == 1 else std
    finite = all(math.isfinite(value) for value in (*mean, *std))
    if not finite or len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise ArchitectureError(
            f"mean {mean} and std {std} do not fit images of {channels} channels",
            "give one number per channel, above 0 for std",
        )
    return mean, std


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _has_name(arch: str) -> bool:
    return arch.partition(":")[0] in MODELS and canonical_arch(arch) == arch


@torch.no_grad()
def load(model: nn.Module, pairs: Pairing, tensors: Mapping[str, Tensor]) -> None:
    """Copies the values of ``tensors`` to their places in ``model``, in place.

    Raises:
        ArchitectureError: values are quantised, or not finite, or of another kind than ours.
    """
    own = model.state_dict(keep_vars=True)
    for pair in pairs.pairs:
        value, own_value = tensors[pair.key].detach(), own[pair.own]
        _check(pair.key, value, own_value)
        if own_value.ndim == 0:
            own_value.copy_(value.reshape(()))
            continue
        rows = value.shape[0] if value.ndim else 1
        target = own_value.narrow(0, pair.start, rows)
        target.copy_(value.reshape(target.shape))


def _check(key: str, value: Tensor, own_value: Tensor) -> None:
    """Compares the kind of values, and asks whether they are finite.

    Raises:
        ArchitectureError: they do not fit.
    """
    if value.is_quantized or value.is_floating_point() != own_value.is_floating_point():
        raise ArchitectureError(
            f"'{key}' holds values of type {str(value.dtype).removeprefix('torch.')}",
            "use weights that are not quantised",
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ArchitectureError(
            f"'{key}' holds values that are not finite",
            "use a checkpoint of a training that did not diverge",
        )


def source_of(layout: str, stripped: Stripped, pairs: Pairing, inside: str = "") -> WeightSource:
    """Notes where each tensor of the source has its values in the classifier.

    Args:
        layout: whose names the source has.
        stripped: the source.
        pairs: the places of its tensors.
        inside: what the classifier's names begin with.
    """
    order = dict[str, SourceTensor]()
    for pair in pairs.pairs:
        value, key = stripped.tensors[pair.key], stripped.keys[pair.key]
        order[key] = SourceTensor(key, value.shape, value.dtype, inside + pair.own, pair.start)
    for name in pairs.constants:
        value, key = stripped.tensors[name], stripped.keys[name]
        order[key] = SourceTensor(key, value.shape, value.dtype, value=value.detach().clone())
    for key, value in stripped.aside.items():
        order[key] = SourceTensor(key, value.shape, value.dtype, value=value.detach().clone())
    return WeightSource(layout, tuple(order[key] for key in stripped.order))


def foreign_state(classifier: Classifier) -> dict[str, Tensor]:
    """Returns the weights under the names, in the order and of the types of their source.

    Args:
        classifier: what :func:`build` returned, or a purified copy of it.

    Raises:
        ArchitectureError: its weights did not come from a state dict, or its layers have other
            shapes now.
    """
    source = classifier.source
    if source is None:
        raise ArchitectureError(
            f"the weights of {classifier.arch} did not come from somebody's state dict",
            "save them under its own keys",
        )
    own, result = classifier.state_dict(), dict[str, Tensor]()
    for tensor in source.tensors:
        if tensor.value is not None:
            result[tensor.key] = tensor.value.clone()
            continue
        value = own.get(tensor.own)
        rows = tensor.shape[0] if tensor.shape else 1
        if value is None or (value.ndim and tensor.start + rows > value.shape[0]):
            raise ArchitectureError(
                f"the network has no values for '{tensor.key}' any more",
                "save its weights under its own keys",
            )
        part = value.detach().cpu()
        part = part.narrow(0, tensor.start, rows) if part.ndim else part
        if part.numel() != tensor.shape.numel():
            raise ArchitectureError(
                f"the values of '{tensor.key}' have shape {tuple(part.shape)} now, and had "
                f"{tuple(tensor.shape)}",
                "save its weights under its own keys",
            )
        result[tensor.key] = part.to(tensor.dtype).contiguous().clone().reshape(tensor.shape)
    return result
