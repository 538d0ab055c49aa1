"""The files of a model that is a folder: weights, and what its authors wrote about it in JSON.

Layouts: timm, Hugging Face's transformers and hub, NIST TrojAI. Their configurations are read as
JSON and never decoded into objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remission.errors import CheckpointError

_WEIGHTS = (
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
    "model.pt",
    "attack_result.pt",
    "defense_result.pt",
)
"""Names of files of weights; the first that exists is used."""
_ENDINGS = (".safetensors", ".pth", ".pth.tar", ".pt", ".bin")
_CONFIGS = ("config.json", "preprocessor_config.json", "reduced-config.json")
_LARGEST = 10_000_000  # bytes of a configuration


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    Args:
        weights: the file of its weights.
        configs: name of a configuration -> its content; empty where the model is one file.
    """

    weights: Path
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def model_files(path: Path) -> ModelFiles:
    """Returns the files of a model.

    Args:
        path: a file of weights, or a folder.

    Raises:
        CheckpointError: the folder has no file of weights, or several and none of the usual name;
            a configuration is no JSON.
    """
    if not path.is_dir():
        return ModelFiles(path)
    configs = {name: _read(path / name) for name in _CONFIGS if (path / name).is_file()}
    for name in _WEIGHTS:
        if (path / name).is_file():
            return ModelFiles(path / name, configs)
    others = sorted(file for file in path.iterdir() if file.name.endswith(_ENDINGS))
    if len(others) == 1:
        return ModelFiles(others[0], configs)
    if not others:
        raise CheckpointError(
            f"the folder '{path}' has no file of weights",
            f"give the file itself, or name it {_WEIGHTS[0]}",
        )
    listed = ", ".join(file.name for file in others[:10])
    raise CheckpointError(f"the folder '{path}' has several files of weights: {listed}", "give one")


def _read(file: Path) -> dict[str, Any]:
    remedy = "mend it, or give the file of weights alone"
    try:
        if file.stat().st_size > _LARGEST:
            raise CheckpointError(f"'{file}' is larger than a configuration", remedy)
        content = json.loads(file.read_text(encoding="utf-8"))
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"'{file}' cannot be read ({error.strerror or error})", "check its permissions"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{file}' is no JSON ({type(error).__name__})", remedy) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"'{file}' holds no table", remedy)
    return content
