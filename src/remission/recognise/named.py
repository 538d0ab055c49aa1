"""Weights for an architecture that the user names: one of ours, a package's, or a user's code."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from remission.errors import closest
from remission.models import Classifier, Precision, build_model, in_channels_last
from remission.recognise.any_network import wrap
from remission.recognise.errors import ArchitectureError
from remission.recognise.pairing import pairing, shapes_of
from remission.recognise.prefixes import Stripped, strip_prefixes
from remission.recognise.weights import load, source_of
from remission.types import Shape
from remission.user_methods import executed, line_of, read_python

_FORM = "write FILE.py:function, the name of a function without parameters that returns the network"


def is_code(arch: str) -> bool:
    """Says whether ``arch`` has the form ``FILE.py:function``."""
    return arch.rpartition(":")[0].endswith(".py")


def from_code(
    arch: str,
    state: Mapping[str, Tensor],
    *,
    shape: Shape,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    precision: Precision = "fp32",
) -> Classifier:
    """Fills a user's own architecture with weights, by the names of its tensors.

    The file is executed.

    Args:
        arch: ``FILE.py:function``. The function takes no arguments and returns an ``nn.Module``.
        state: name -> tensor, with or without prefixes of wrappers.
        shape: (C, H, W) of the images.
        mean: see :func:`remission.recognise.wrap`; a normalisation layer in the state counts first.
        std: likewise.
        precision: the precision of the forward pass.

    Raises:
        ArchitectureError: the file has no such function, it returns no network, or the tensors are
            not those of the network.
        SpecError: the file cannot be read, or its code fails.
    """
    net, stripped = _called(arch), strip_prefixes(state)
    own = shapes_of(net.state_dict())
    if own.keys() >= state.keys() or not own.keys() & stripped.tensors.keys():
        stripped = _whole(state)  # the user's own code may have the wrapper in it
    pairs = pairing(own, shapes_of(stripped.tensors), lambda key: (key,))
    if not pairs.fits:
        raise ArchitectureError(
            f"the tensors are not those of {arch}: {pairs.problem}",
            "name the function that built the network of these weights",
        )
    load(net, pairs, stripped.tensors)
    mean, std = stripped.mean or mean, stripped.std or std
    model = wrap(
        net, mean=mean, std=std, shape=shape, classes=_rows(net, shape), precision=precision
    )
    model.source = source_of(arch, stripped, pairs, "net.")
    model.arch = arch
    return model


def _whole(state: Mapping[str, Tensor]) -> Stripped:
    """Returns a state dict of which nothing is taken."""
    return Stripped(
        tensors=dict(state),
        keys={key: key for key in state},
        aside={},
        order=tuple(state),
        prefix="",
        mean=None,
        std=None,
        follows=False,
        evidence=(),
    )


@torch.no_grad()
def _rows(net: nn.Module, shape: Shape) -> int:
    """Returns the number of logits; 0 if the network fails, which :func:`wrap` then says."""
    try:
        logits = net.eval()(torch.zeros(2, *shape))
    except Exception:  # whatever somebody's forward pass raises
        return 0
    return logits.shape[-1] if isinstance(logits, Tensor) and logits.ndim else 0


def _called(arch: str) -> nn.Module:
    """Executes the file and calls the function.

    Raises:
        ArchitectureError: there is no such function, or it returns no network.
        SpecError: the file cannot be read, or its code fails.
    """
    path, _, name = arch.rpartition(":")
    if not name.isidentifier():
        raise ArchitectureError(f"'{arch}' names no function", _FORM)
    file = read_python(path)
    module = executed(file)
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ArchitectureError(f"'{path}' has no function '{name}'", closest(name, known))
    try:
        net = function()
    except (Exception, SystemExit) as error:  # whatever is wrong in the file is the user's to mend
        where = line_of(error, file.path)
        raise ArchitectureError(
            f"'{path}'{where}: {name}() raised {type(error).__name__}: {error}", "mend the function"
        ) from error
    if not isinstance(net, nn.Module):
        raise ArchitectureError(
            f"'{path}': {name}() returns something of type {type(net).__name__}", _FORM
        )
    return net.cpu().float()


def from_name(
    arch: str,
    state: Mapping[str, Tensor],
    *,
    shape: Shape,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    precision: Precision = "fp32",
) -> Classifier:
    """Builds one of our models or a package's by its name, and fills it by the names of tensors.

    Args:
        arch: as :func:`remission.models.build_model` has it: ``resnet18:16``, ``timm:NAME``,
            ``torchvision:NAME``.
        state: name -> tensor, with or without prefixes of wrappers.
        shape: (C, H, W) of the images.
        mean: the mean to subtract from images in [0, 1]; a normalisation layer in the state counts
            first.
        std: the standard deviation to divide by; likewise.
        precision: the precision of the forward pass.

    Raises:
        ArchitectureError: the tensors are not those of this model.
        SpecError: there is no such model, or its package is not installed.
    """
    stripped = strip_prefixes(state)
    mean, std = stripped.mean or mean, stripped.std or std
    with torch.device("meta"):
        zeros, ones = (0.0,) * shape[0], (1.0,) * shape[0]
        twin = build_model(arch, classes=2, shape=shape, mean=zeros, std=ones)
    head = next(name for name, layer in twin.named_modules() if layer is twin.final_linear)
    published = {own: theirs for theirs, own in twin.published.items()}

    def theirs(own: str) -> tuple[str, ...]:
        for ours, other in published.items():
            if own.startswith(ours) and own not in stripped.tensors:
                return (other + own.removeprefix(ours),)
        return (own,)

    (key,) = theirs(f"{head}.weight")
    if key not in stripped.tensors or stripped.tensors[key].ndim != 2:
        raise ArchitectureError(
            f"the tensors are not those of {arch}: there is no matrix '{key}'",
            "name the architecture that the weights were trained in",
        )
    classes = stripped.tensors[key].shape[0]
    model = build_model(arch, classes=classes, shape=shape, mean=mean, std=std, precision=precision)
    pairs = pairing(shapes_of(model.state_dict()), shapes_of(stripped.tensors), theirs)
    if not pairs.fits:
        raise ArchitectureError(
            f"the tensors are not those of {arch}: {pairs.problem}",
            "name the architecture and width that the weights were trained in",
        )
    load(model, pairs, stripped.tensors)
    model.source = source_of(arch, stripped, pairs)
    return in_channels_last(model).eval()
