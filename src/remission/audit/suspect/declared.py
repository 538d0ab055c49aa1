"""What a file of weights, or the configurations in its folder, state about the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remission.audit.suspect.folder_files import ModelFiles
from remission.checkpoints import Opaque

_LARGEST = 1e6
"""No mean and no standard deviation of images is larger."""
_NAMES_OF_ARCH = ("model_name", "arch", "architecture", "model_architecture")
"""Keys under which checkpoints and configurations name their architecture."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What is said about a model; None, or empty, where nothing is.

    Args:
        arch: the name of its architecture, in its authors' words.
        names: the names of its classes, in the order of their indices.
        size: (H, W) of its images.
        mean: one number per channel, for images in [0, 1].
        std: the same.
        data: what its images are called, as ``cifar10``.
        by: the files that state the architecture, the class names or the normalisation.
    """

    arch: str | None = None
    names: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    data: str | None = None
    by: tuple[str, ...] = ()


def declared(tree: object, files: ModelFiles) -> Declared:
    """Reads what is said about a model; what has another form than expected is passed over.

    Args:
        tree: the content of its file of weights.
        files: the configurations beside it.
    """
    config = files.configs.get("config.json", {})
    images = files.configs.get("preprocessor_config.json", {})
    pretrained = config.get("pretrained_cfg", config)
    pretrained = pretrained if isinstance(pretrained, dict) else {}
    top = tree if isinstance(tree, dict) else {}
    sources: dict[str, Mapping[str, Any]] = {
        "the file": top,
        "the arguments in the file": _arguments(top),
        "reduced-config.json": files.configs.get("reduced-config.json", {}),
        "config.json": config,
    }
    arch, by = next(
        ((str(table[key]), name) for name, table in sources.items() for key in _NAMES_OF_ARCH
         if isinstance(table.get(key), str)),
        (None, None),
    )  # fmt: skip
    listed = config.get("architectures")
    if arch is None and isinstance(listed, list) and listed and isinstance(listed[0], str):
        arch, by = listed[0], "config.json"
    names = _names(config)
    mean = _numbers(images.get("image_mean")) or _numbers(pretrained.get("mean"))
    std = _numbers(images.get("image_std")) or _numbers(pretrained.get("std"))
    if images.get("do_normalize") is False:
        mean, std = (0.0,), (1.0,)
    if not (mean and std):
        mean = std = None
    size = _size(images, config, pretrained, top)
    data = top.get("clean_data") if isinstance(top.get("clean_data"), str) else None
    said = [by, *(["config.json"] if names or mean else [])]
    return Declared(
        arch=arch,
        names=names,
        size=size,
        mean=mean,
        std=std,
        data=data,
        by=tuple(dict.fromkeys(name for name in said if name)),
    )


def _arguments(tree: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Returns the arguments of a training that were saved with it, a namespace or a table."""
    for key in ("args", "hyper_parameters"):
        value = tree.get(key)
        fields = value.fields if isinstance(value, Opaque) else value
        if isinstance(fields, dict):
            renamed = {"arch": fields["model"]} if isinstance(fields.get("model"), str) else {}
            return {**fields, **renamed}
    return {}


def _names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Returns the names of classes: transformers' ``id2label``, timm's ``label_names``."""
    by_index = config.get("id2label")
    if isinstance(by_index, dict):
        places = {int(k): v for k, v in by_index.items() if str(k).isdecimal()}
        if sorted(places) == list(range(len(by_index))):
            return tuple(str(places[index]) for index in range(len(places)))
    for key in ("label_names", "labels"):
        listed = config.get(key)
        if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
            return tuple(listed)
    return None


def _numbers(value: object) -> tuple[float, ...] | None:
    values: list[Any] = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= 4:
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return None
    if not all(abs(one) < _LARGEST for one in values):  # NaN is not
        return None
    return tuple(float(one) for one in values)


def _size(*tables: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns (H, W) from the first table that has it."""
    for table in tables:
        for key in ("size", "image_size", "input_size", "img_size"):
            if found := _height_and_width(table.get(key), key):
                return found
    return None


def _height_and_width(value: object, key: str) -> tuple[int, int] | None:
    """Returns (H, W) from one number, (H, W), timm's (C, H, W) or BackdoorBench's (H, W, C)."""
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")] if "height" in value else None
        value = value or None
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value, value]
    if not isinstance(value, list | tuple) or not all(type(one) is int for one in value):
        return None
    if len(value) == 3:
        value = value[1:] if key == "input_size" else value[:2]
    return (value[0], value[1]) if len(value) == 2 and min(value) > 0 else None
