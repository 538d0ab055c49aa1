"""Weights on disk: safetensors, read by key and shape. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from remission.errors import CheckpointError
from remission.models.classifier import Classifier


def save_weights(module: nn.Module, file: Path) -> None:
    """Writes the state dict of ``module`` as safetensors."""
    file.write_bytes(pack(module))


def pack(module: nn.Module) -> bytes:
    """Returns the state dict of ``module`` as the bytes of a safetensors file."""
    return pack_tensors(module.state_dict())


def pack_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Returns named tensors as the bytes of a safetensors file.

    Args:
        tensors: name -> tensor.
        metadata: what the header says beside shapes; transformers asks for ``{"format": "pt"}``.
    """
    return safetensors.torch.save(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        dict(metadata) if metadata else None,
    )


def unpack_tensors(content: bytes, origin: str) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, on the CPU: the inverse of :func:`pack_tensors`.

    Args:
        content: the whole file.
        origin: how errors name the file.

    Raises:
        CheckpointError: the bytes are no whole safetensors file.
    """
    try:
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _broken(origin, error) from error


def load_weights(module: nn.Module, file: Path) -> None:
    """Fills ``module`` from a safetensors file that has exactly its keys and shapes.

    A :class:`Classifier` also takes the keys under which its weights are published.

    Raises:
        CheckpointError: the file is missing or truncated, it is no safetensors file, or it does not
            fit.
    """
    unpack(module, _content(file), str(file))


def unpack(module: nn.Module, content: bytes, origin: str) -> None:
    """Fills ``module`` from the bytes of a safetensors file, the inverse of :func:`pack`.

    Args:
        module: the keys and shapes of its state dict must be exactly those of the file.
        content: the whole file.
        origin: how errors name the file.

    Raises:
        CheckpointError: the bytes are no whole safetensors file, or do not fit.
    """
    state = unpack_tensors(content, origin)
    if isinstance(module, Classifier):
        state = {module.own_key(key): value for key, value in state.items()}
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        what = f"lacks '{missing[0]}'" if missing else f"has the unknown key '{unknown[0]}'"
        raise CheckpointError(
            f"the weights in '{origin}' do not fit the model: the file {what}",
            "name the architecture and width that the weights were trained with",
        )
    for key, value in state.items():
        _check_values(key, value, own[key], origin)
    module.load_state_dict(state)


def _check_values(key: str, value: Tensor, own: Tensor, origin: str) -> None:
    """Compares one tensor of a file with the model's own of that key.

    Raises:
        CheckpointError: it has another shape or kind of values, or some that are not finite.
    """
    if value.shape != own.shape:
        raise CheckpointError(
            f"'{key}' in '{origin}' has shape {tuple(value.shape)}, the model's has "
            f"{tuple(own.shape)}",
            "name the architecture, width and number of classes of the weights",
        )
    if value.is_floating_point() != own.is_floating_point():
        raise CheckpointError(
            f"'{key}' in '{origin}' holds values of type {_type(value)}, the model's are "
            f"{_type(own)}",
            "use a checkpoint that is not quantised",
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise CheckpointError(
            f"'{key}' in '{origin}' holds values that are not finite",
            "use a checkpoint of a training that did not diverge",
        )


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Reads all tensors of a safetensors file, onto the CPU.

    Raises:
        CheckpointError: the file is missing or truncated, or it is no safetensors file.
    """
    return unpack_tensors(_content(file), str(file))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file '{file}'", "check its path") from error
    except OSError as error:
        raise _broken(str(file), error) from error


def _broken(origin: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"'{origin}' is no whole safetensors file ({error})",
        "copy it again from where it came, or convert it with safetensors",
    )
