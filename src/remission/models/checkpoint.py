"""Weights on disk: safetensors, read by key and shape. Nothing is ever unpickled."""

from __future__ import annotations

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
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    return safetensors.torch.save(state)


def load_weights(module: nn.Module, file: Path) -> None:
    """Fills ``module`` from a safetensors file that has exactly its keys and shapes.

    A :class:`Classifier` also takes the keys under which its weights are published.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file, or its tensors do
            not fit the module, or a value is not finite.
    """
    state = read_tensors(file)
    if isinstance(module, Classifier):
        state = {module.own_key(key): value for key, value in state.items()}
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        what = f"lacks '{missing[0]}'" if missing else f"has the unknown key '{unknown[0]}'"
        raise CheckpointError(
            f"the weights in '{file}' do not fit the model: the file {what}",
            "name the architecture and width that the weights were trained with",
        )
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise CheckpointError(
                f"'{key}' in '{file}' has shape {tuple(value.shape)}, the model's has "
                f"{tuple(own[key].shape)}",
                "name the architecture, width and number of classes of the weights",
            )
        if value.is_floating_point() != own[key].is_floating_point():
            raise CheckpointError(
                f"'{key}' in '{file}' holds values of type {_name(value)}, the model's are "
                f"{_name(own[key])}",
                "use a checkpoint that is not quantised",
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"'{key}' in '{file}' holds values that are not finite",
                "use a checkpoint of a training that did not diverge",
            )
    module.load_state_dict(state)


def _name(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Reads all tensors of a safetensors file, onto the CPU.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file.
    """
    try:
        return safetensors.torch.load(file.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file '{file}'", "check its path") from error
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"'{file}' is no whole safetensors file ({error})",
            "copy it again from where it came, or convert it with safetensors",
        ) from error
