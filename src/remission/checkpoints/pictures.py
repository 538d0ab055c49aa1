"""Pictures of PIL that were pickled."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.checkpoints.values import Opaque
from remission.errors import CheckpointError

_CHANNELS = {"L": 1, "RGB": 3}
_REMEDY = "give the images as files"


def image_of(picture: object) -> Tensor:
    """Returns the pixels of the stand-in for a picture: uint8 (C, H, W).

    Args:
        picture: an :class:`Opaque` of a class of PIL, whose state is information, mode, (width,
            height), palette and pixels.

    Raises:
        CheckpointError: it is no picture, its mode is neither L nor RGB, or its pixels are not as
            many as its size says.
    """
    if not isinstance(picture, Opaque) or picture.module.split(".")[0] != "PIL":
        raise CheckpointError(f"{picture!r:.200} in the file is no picture", _REMEDY)
    state = picture.state
    if not isinstance(state, list | tuple) or len(state) < 5:
        raise CheckpointError("a picture in the file has no pixels", _REMEDY)
    _, mode, size, _, pixels = state[:5]
    channels = _CHANNELS.get(mode) if isinstance(mode, str) else None
    if channels is None:
        problem = f"a picture in the file has the mode {mode!r:.20}, not L or RGB"
        raise CheckpointError(problem, _REMEDY)
    if not isinstance(size, list | tuple) or not isinstance(pixels, bytes) or len(size) != 2:
        raise CheckpointError("a picture in the file has no size or no pixels", _REMEDY)
    width, height = size
    if type(width) is not int or type(height) is not int or width < 1 or height < 1:
        raise CheckpointError("a picture in the file has no size", _REMEDY)
    if width * height * channels != len(pixels):
        problem = f"a picture in the file has {len(pixels)} bytes for {width} x {height} pixels"
        raise CheckpointError(problem, _REMEDY)
    flat = torch.frombuffer(bytearray(pixels), dtype=torch.uint8)
    return flat.reshape(height, width, channels).permute(2, 0, 1).contiguous()
