"""Image files that are easily read wrongly, and the pixels that a viewer shows."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ORIGINS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
"""The EXIF standard: where the first row and the first column of the file belong."""

ORIENTATION = 0x0112


def blocks(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns a grey picture of blocks of 8x8 pixels, which JPEG preserves, uint8 (H, W)."""
    values = np.random.default_rng(seed).integers(0, 2, (height // 8, width // 8)) * 200 + 20
    values[0, 0], values[-1, -1], values[0, -1] = 20, 220, 120  # no symmetry
    return values.astype(np.uint8).repeat(8, 0).repeat(8, 1)


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the pixels that a camera stores for a picture shown as ``upright``."""
    row, column = ORIGINS[orientation]
    stored = upright.T if row in ("left", "right") else upright
    stored = stored[::-1] if row in ("bottom", "right") else stored
    return np.ascontiguousarray(stored[:, ::-1] if column in ("bottom", "right") else stored)


def save_turned(upright: np.ndarray, orientation: int, path: Path) -> None:
    """Saves ``upright`` with an orientation, as a camera does; the suffix gives the format."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {
        ".jpg": {"quality": 100, "subsampling": 0},
        ".webp": {"lossless": True},
        ".tif": {"compression": "tiff_lzw"},
    }
    image = Image.fromarray(as_stored(upright, orientation))
    image.save(path, exif=exif, **options.get(path.suffix, {}))  # type: ignore[arg-type]


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(values: np.ndarray, colour: int, *before: bytes, after: bytes = b"") -> bytes:
    """Returns a PNG of (H, W, channels) values, uint8 or uint16.

    Args:
        values: the values in the file.
        colour: 0 grey, 2 colour, 4 grey with alpha, 6 colour with alpha.
        before: chunks before the pixels.
        after: chunks after the pixels.
    """
    deep = values.dtype == np.uint16
    height, width = values.shape[:2]
    rows = values.astype(">u2" if deep else "u1").reshape(height, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(lines)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(before) + pixels
