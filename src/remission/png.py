"""Images as PNG files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


def encode(image: Image.Image, *, smallest: bool = False) -> bytes:
    """The bytes of a PNG file.

    Args:
        image: grey or colour.
        smallest: take more time for a smaller file.
    """
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=smallest)
    return stream.getvalue()


def encode_pixels(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file with the pixels of an (H, W, C) array; one channel is grey."""
    from PIL import Image  # slow to import

    return encode(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
