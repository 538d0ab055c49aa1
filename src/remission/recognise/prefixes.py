"""What wrappers add to the names of a network's tensors, and the normalisation that they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from remission.recognise.errors import ArchitectureError

PREFIXES = ("module", "model", "_orig_mod", "backbone", "net")
"""Names that wrappers give to the network inside them, as torch's DataParallel and compile do."""
_SEQUENTIAL = ("0", "1", "2")
_NORMALISERS = (("mean", "std"), ("_mean", "_std"), ("means", "stds"), ("mu", "sigma"))
_COUNTER = "n_averaged"
"""The number of averaged models, which torch's AveragedModel has beside the network."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stripped:
    """A state dict without what wrappers added to it.

    Args:
        tensors: the network's tensors by its own names, in the order of the source.
        keys: the network's own name -> the name in the source.
        aside: name in the source -> tensor, of those that belong to wrappers.
        order: all names in the source, in its order.
        prefix: what was taken from every name, for example ``module.1.``.
        mean: the mean that a normalisation layer before the network subtracts from images in
            [0, 1], one number per channel; None: there is no such layer.
        std: the standard deviation by which it divides.
        follows: whether the network is a later part of a Sequential, and the parts before it have
            no tensors: BackdoorBench puts a resize before its vision transformers.
        evidence: what was seen, in sentences.
    """

    tensors: dict[str, Tensor]
    keys: dict[str, str]
    aside: dict[str, Tensor]
    order: tuple[str, ...]
    prefix: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    follows: bool
    evidence: tuple[str, ...]


def strip_prefixes(state: Mapping[str, Tensor]) -> Stripped:
    """Takes prefixes and normalisation layers of wrappers from the names of a state dict.

    A prefix is removed only if all names of the network have it (those of a normalisation layer and
    ``n_averaged`` do not count), in any nesting: ``module.``, ``model.``,
    ``_orig_mod.``, ``backbone.``, ``net.``, or the place of a part in a Sequential.

    Args:
        state: name -> tensor.

    Raises:
        ArchitectureError: there are no tensors, or something is not a tensor.
    """
    _check(state)
    names = {key: key for key in state}  # name in the network -> name in the source
    aside, prefix, evidence = list[str](), "", list[str]()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    follows = False
    while True:
        if _COUNTER in names:
            aside.append(names.pop(_COUNTER))
        found = None if mean else _normaliser(names, state)
        if found:
            mean, std = (_numbers(state[names[key]]) for key in found)
            mean, std, said = _in_unit_range(mean, std)
            evidence.append(f"'{names[found[0]]}' and '{names[found[1]]}' normalise images{said}")
            aside += [names.pop(key) for key in found]
        first = {key.partition(".")[0] if "." in key else "" for key in names}
        step = next(iter(first)) if len(first) == 1 else ""
        if step not in (*PREFIXES, *_SEQUENTIAL):
            break
        follows = follows or (step in _SEQUENTIAL[1:] and not found)
        names = {key.partition(".")[2]: source for key, source in names.items()}
        prefix += f"{step}."
    if prefix:
        evidence.insert(0, f"all keys of the network begin with '{prefix}'")
    return Stripped(
        tensors={name: state[key] for name, key in names.items()},
        keys=names,
        aside={key: state[key] for key in aside},
        order=tuple(state),
        prefix=prefix,
        mean=mean,
        std=std,
        follows=follows,
        evidence=tuple(evidence),
    )


def _check(state: Mapping[str, Tensor]) -> None:
    """Checks that there are tensors and nothing else.

    Raises:
        ArchitectureError: it is not so.
    """
    if not state:
        raise ArchitectureError("there are no tensors", "name a file that holds weights")
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise ArchitectureError(
                f"'{key}' is no tensor but of type {type(value).__name__}",
                "give the state dict itself, which maps names to tensors",
            )


def _normaliser(names: Mapping[str, str], state: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Returns the names of mean and standard deviation of a layer that has nothing else."""
    for key in names:
        above, dot, last = key.rpartition(".")
        partner = next((std for mean, std in _NORMALISERS if mean == last), None)
        other = f"{above}{dot}{partner}"
        if partner is None or other not in names or "." in above:
            continue
        beside = [name for name in names if above and name.startswith(f"{above}.")]
        values = [state[names[one]] for one in (key, other)]
        small = all(v.is_floating_point() and 1 <= v.numel() <= 4 for v in values)
        if small and values[0].numel() == values[1].numel() and len(beside) in (0, 2):
            return key, other
    return None


def _numbers(value: Tensor) -> tuple[float, ...]:
    return tuple(value.detach().to("cpu", torch.float32).flatten().tolist())


def _in_unit_range(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Returns mean and standard deviation for images in [0, 1], and words if they were for bytes.

    (255 x - m) / s = (x - m / 255) / (s / 255).
    """
    if max((*mean, *std)) <= 2:
        return mean, std, ""
    scaled = (tuple(value / 255 for value in values) for values in (mean, std))
    return (*scaled, " in 0..255")  # type: ignore[return-value]
