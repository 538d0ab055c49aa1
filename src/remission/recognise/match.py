"""Which architecture a state dict belongs to, by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from remission.errors import closest
from remission.models import Classifier
from remission.recognise.errors import ArchitectureError
from remission.recognise.families import FAMILIES
from remission.recognise.families.reading import LacksError, Reading, Shapes, Size
from remission.recognise.pairing import Pairing, pairing, shapes_of
from remission.recognise.prefixes import Stripped, strip_prefixes

_CODE = "name your own code: FILE.py:function"
_MOST = 3000
"""Tensors of a network: EfficientNet-B7 has 1,300. To search many names takes long."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recognised:
    """An architecture to which all tensors of a state dict belong.

    Args:
        arch: its name: ``resnet18:16`` is one of ours, ``torchvision/resnet18`` has the tensors
            of torchvision's, and computes what that does.
        layout: whose names the tensors have.
        classes: number of classes K.
        channels: number of channels C of the images.
        size: (H, W) of the images, where the tensors say it.
        width: what the name counts behind its colon: channels of the first stage or stem, the
            growth rate of a DenseNet, the embedding dimension of a transformer.
        mean: the mean that a layer in the state dict subtracts from images in [0, 1]; None: there
            is no such layer.
        std: the standard deviation by which it divides.
        evidence: what was seen, in sentences.
        reading: how the network is built.
        stripped: the tensors of the network.
    """

    arch: str
    layout: str
    classes: int
    channels: int
    size: Size | None
    width: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    evidence: tuple[str, ...]
    reading: Reading = field(repr=False)
    stripped: Stripped = field(repr=False)


@dataclass(frozen=True)
class _Misfit:
    """An architecture to which some of the tensors belong."""

    arch: str
    problem: str
    hint: str
    explained: int


def recognise(state: Mapping[str, Tensor], arch: str = "") -> Recognised:
    """Finds the architecture of a state dict.

    Args:
        state: name -> tensor, with or without prefixes of wrappers.
        arch: one of the names of :func:`candidates`, where there are several.

    Raises:
        ArchitectureError: no architecture fits, and the message names a missing or superfluous
            tensor; or several fit, and ``arch`` names none of them.
    """
    fitting = candidates(state)
    chosen = [one for one in fitting if one.arch == arch] if arch else list(fitting)
    if len(chosen) == 1:
        return chosen[0]
    names = [one.arch for one in fitting]
    if not chosen:
        raise ArchitectureError(
            f"the tensors are those of {' or '.join(names)}, not of {arch}", closest(arch, names)
        )
    raise ArchitectureError(
        f"the tensors fit {len(names)} architectures: {', '.join(names)}", "name one of them"
    )


def candidates(state: Mapping[str, Tensor]) -> tuple[Recognised, ...]:
    """Returns all architectures that a state dict may belong to, the likeliest first.

    In each of them every tensor has its place and every place its tensor. They differ in what no
    tensor says, as whether a pooling follows a convolution.

    Args:
        state: name -> tensor, with or without prefixes of wrappers.

    Raises:
        ArchitectureError: there is none.
    """
    if len(state) > _MOST:
        raise ArchitectureError(f"it has {len(state)} tensors, as no known network has", _CODE)
    stripped = strip_prefixes(state)
    shapes = Shapes(shapes_of(stripped.tensors))
    fitting, misfits = list[Recognised](), list[_Misfit]()
    for family in FAMILIES:
        try:
            readings = family.read(shapes)
        except LacksError as error:
            problem = f"there is no '{error.key}' of the right shape"
            misfits.append(_Misfit(f"a network as {family.layout} names them", problem, "", 0))
            continue
        except (ArithmeticError, LookupError, TypeError, ValueError):  # of no network of this kind
            continue
        for reading in readings:
            try:
                pairs = fit(reading, shapes)
            except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
                # sizes that no network can have
                misfits.append(_Misfit(reading.arch, f"it cannot be built ({error})", "", 0))
                continue
            if pairs.fits:
                fitting.append(_recognised(reading, family.layout, stripped))
            else:
                misfits.append(_Misfit(reading.arch, pairs.problem, pairs.hint, len(pairs.pairs)))
    if not fitting:
        raise _no_fit(misfits, stripped)
    return tuple(fitting)


def fit(reading: Reading, shapes: Mapping[str, torch.Size], size: Size | None = None) -> Pairing:
    """Compares an architecture with tensors by names and shapes.

    Args:
        reading: the architecture.
        shapes: name -> shape of the network's tensors.
        size: (H, W) of the images; None: any that the network takes.
    """
    return pairing(
        shapes_of(skeleton(reading, size).state_dict()), shapes, reading.theirs, reading.constants
    )


def skeleton(reading: Reading, size: Size | None = None) -> Classifier:
    """Builds a network on the meta device, where tensors have shapes but no values."""
    with torch.device("meta"):
        return reading.make(
            arch=reading.arch,
            classes=reading.classes,
            shape=(reading.channels, *(size or reading.example)),
            mean=(0.0,) * reading.channels,
            std=(1.0,) * reading.channels,
        )


def _recognised(reading: Reading, layout: str, stripped: Stripped) -> Recognised:
    rows = f"the last linear layer has {reading.classes} rows, one for each class"
    return Recognised(
        arch=reading.arch,
        layout=layout,
        classes=reading.classes,
        channels=reading.channels,
        size=reading.size,
        width=reading.width,
        mean=stripped.mean,
        std=stripped.std,
        evidence=(*stripped.evidence, *reading.evidence, rows),
        reading=reading,
        stripped=stripped,
    )


def _no_fit(misfits: list[_Misfit], stripped: Stripped) -> ArchitectureError:
    """Returns an error that names what is nearest, and what is wrong with it."""
    if not misfits:
        first = ", ".join(f"'{key}'" for key in list(stripped.keys.values())[:3])
        return ArchitectureError(
            f"no architecture is known whose tensors are called {first}", _CODE
        )
    nearest = max(misfits, key=lambda misfit: misfit.explained)
    hint = f"{nearest.hint} " if nearest.hint else ""
    return ArchitectureError(
        f"the tensors are nearly those of {nearest.arch}, but {nearest.problem}",
        f"{hint}use the whole file as it was written, or {_CODE}",
    )
