"""A picture as a value: a ``data:`` URI that holds it, so that no path is needed any more."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Annotated

import torch
from PIL import Image
from pydantic import AfterValidator
from torch import Tensor

from remission.data.decode import decode_picture, read_picture
from remission.errors import DataError

LARGEST = 256
"""Pixels per side: larger pictures are made smaller when they are read."""

_PREFIX = "data:image/png;base64,"
_LONGEST = 400_000  # characters: noise of that size in three colours has 262,000


def image_uri(file: Path | str) -> str:
    """Returns an image file as a value for a method's ``image``: a ``data:`` URI that holds a PNG.

    Args:
        file: PNG, JPEG, BMP, WebP, TIFF, GIF, PGM or PPM, grey or colour. It is turned upright as
            its EXIF orientation says, and laid on white where it is transparent, since triggers
            have no transparency of their own. A side of more than 256 pixels is made smaller.

    Raises:
        DataError: there is no such file, it is no image, damaged, or nearly black since only a
            small part of its 16 bits is used.
    """
    pixels = read_picture(Path(file), largest=LARGEST).transpose(1, 2, 0)  # (H, W, C)
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    return _PREFIX + base64.b64encode(stream.getvalue()).decode()


def image_pixels(uri: str, shape: tuple[int, int, int]) -> Tensor:
    """Returns the picture in a URI, (C, H, W) in [0, 1].

    Args:
        uri: from :func:`image_uri`.
        shape: (C, H, W) to which it is brought: it is resized whole, and colours become grey or
            the reverse.

    Raises:
        DataError: it is no such URI, or its content is no PNG, damaged, or too large.
    """
    if not uri.startswith(_PREFIX) or len(uri) > _LONGEST:
        shown = f"'{uri[:30]}{'...' if len(uri) > 30 else ''}'"
        raise DataError(
            f"'image' is {shown}, no picture of at most {_LONGEST} characters",
            "in a spec give the path of an image file, in Python remission.data.image_uri(path)",
        )
    channels, *size = shape
    try:
        content = base64.b64decode(uri.removeprefix(_PREFIX), validate=True)
        pixels = decode_picture(
            content, size=(size[0], size[1]), grey=channels == 1, largest=LARGEST
        )
    except (binascii.Error, ValueError) as error:
        raise DataError(
            f"'image' is a URI that holds no picture ({error})",
            "make it with remission.data.image_uri(path)",
        ) from None
    return torch.from_numpy(pixels.copy()).float() / 255


def _checked(uri: str) -> str:
    """Returns ``uri`` if it is empty or holds a picture."""
    if uri:
        image_pixels(uri, (3, 1, 1))
    return uri


Picture = Annotated[str, AfterValidator(_checked)]
"""The type of a method's ``image``: an empty string, or a URI, which is checked."""
