"""A trigger that the user knows: a picture with a mask, or a folder of triggered images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remission.audit.suspicion import Suspect
from remission.audit.tried_triggers import TriedTrigger
from remission.data import load_folder
from remission.data.decode import read_overlay
from remission.errors import DataError, closest
from remission.names import printable
from remission.seeding import Seed
from remission.training import predict
from remission.triggers import Patch
from remission.types import LabelledImages

_FORMS = (
    "give a PNG of the images' size whose transparent pixels leave the image as it is, a folder "
    "with pattern.png and mask.png, or a folder of triggered images, DIR/true class/image.png"
)
_LUMA = torch.tensor([0.299, 0.587, 0.114])
"""The shares of red, green and blue in grey (ITU-R 601), as everywhere in the reading of images."""
_FEWEST = 120
"""Half of the triggered images measure, and a verdict needs 50."""


def given_trigger(path: Path, suspect: Suspect, seed: Seed) -> TriedTrigger:
    """Reads a trigger; its target is the class to which it sends most images of other classes.

    Of a folder of triggered images, half are for retuning and half measure; those of the target's
    own class do not count.

    Args:
        path: a PNG with transparency; a folder with ``pattern.png`` and ``mask.png``, white where
            the pattern shows; or a folder of triggered images with a folder per true class.
        suspect: the suspect model.
        seed: the source of the halves.

    Raises:
        DataError: there is no such file or folder; a picture has another size than the model's
            images, hides every pixel, or moves no image to another class; a folder of triggered
            images has a class that the clean images do not have, or too few images.
    """
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"there is no trigger '{path}'", _FORMS)
        overlay = read_overlay(path)
        return _patch(path, suspect, overlay[:3], overlay[3])
    pattern, mask = path / "pattern.png", path / "mask.png"
    if pattern.is_file() and mask.is_file():
        white = read_overlay(mask)
        shown = (white[:3].max(0) * (white[3] / 255)).round().astype(np.uint8)
        return _patch(path, suspect, read_overlay(pattern)[:3], shown)
    return _images(path, suspect, seed)


def _patch(
    path: Path, suspect: Suspect, pattern: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> TriedTrigger:
    """Makes a patch of a pattern (3, H, W) and a mask (H, W), both uint8."""
    channels, *size = suspect.model.shape
    if int(mask.min()) == 255:
        raise DataError(f"'{path}' hides every pixel of an image", _FORMS)
    for found in (pattern.shape[1:], mask.shape):
        if list(found) != size:
            raise DataError(
                f"the trigger '{path}' has {found[0]}x{found[1]} pixels, and the model's images "
                f"have {size[0]}x{size[1]}",
                _FORMS,
            )
    colours = torch.from_numpy(pattern.copy()).float() / 255
    if channels == 1:
        colours = (colours * _LUMA.view(3, 1, 1)).sum(0, keepdim=True)
    opacity = torch.from_numpy(mask.copy()).float()[None] / 255
    change = Patch(opacity, colours).to(suspect.clean.labels.device)
    before = predict(suspect.model, suspect.clean)
    predicted = predict(suspect.model, suspect.clean, trigger=change)
    moved = predicted[predicted != before]
    return TriedTrigger(
        name="given trigger", target=_commonest(moved, suspect), role="suspected", change=change
    )


def _images(path: Path, suspect: Suspect, seed: Seed) -> TriedTrigger:
    channels, height, width = suspect.model.shape
    data, names = load_folder(path, size=(height, width), channels=channels)
    if unknown := [name for name in names if name not in suspect.folders]:
        raise DataError(
            f"'{path}' has a folder '{printable(unknown[0])}', and the clean images have none",
            closest(unknown[0], suspect.folders),
        )
    indices = torch.tensor([suspect.folders.index(name) for name in names])[data.labels]
    data = LabelledImages(data.images, suspect.opened.match.labels(indices))
    data = data.to(suspect.clean.labels.device)
    predicted = predict(suspect.model, data)
    target = _commonest(predicted[predicted != data.labels], suspect)
    data = data[data.labels != target]
    if len(data) < _FEWEST:
        raise DataError(
            f"'{path}' holds {len(data)} triggered images of other classes than the target's",
            f"give {_FEWEST} or more",
        )
    order = torch.randperm(len(data), generator=seed.child("triggered").generator())
    poisons, shown = (data[half.to(data.labels.device)] for half in order.chunk(2))
    return TriedTrigger(
        name="given triggered images",
        target=target,
        role="suspected",
        poisons=LabelledImages(poisons.images, torch.full_like(poisons.labels, target)),
        shown=shown,
    )


def _commonest(predicted: Tensor, suspect: Suspect) -> int:
    """Returns the class to which most images are sent."""
    if not len(predicted):
        raise DataError("the given trigger moves no image to another class", _FORMS)
    return int(torch.bincount(predicted, minlength=suspect.model.classes).argmax())
