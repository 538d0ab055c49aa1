"""Image files -> one uint8 tensor. Nothing about a file is trusted.

Each image is decoded straight into its place: a set larger than memory needs no more of it.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from remission.errors import DataError
from remission.mapped_tensors import allocate
from remission.progress import advance

Resize = Literal["crop", "squash", "pad"]
"""How an image comes to a size: crop: resized until it just covers it, its centre cut out; squash:
resized to it, whatever that does to its proportions; pad: resized until it just fits, black around.
All bilinear, with antialiasing; an image that has the size already stays as it is."""

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm"})

# Named, because others would be opened too: PostScript runs a program, whatever the file's ending.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
# What Pillow's decoders are known to raise on files that are no images, or damaged ones.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

_AT_ONCE = 64  # images that a thread takes

T = TypeVar("T")


def read_images(
    paths: Sequence[Path],
    *,
    size: tuple[int, int] | None,
    channels: int | None,
    resize: Resize = "crop",
) -> Tensor:
    """The images of the files, uint8 (N, C, H, W), in their order.

    Args:
        paths: at least one file.
        size: (height, width) of all; without it all must share one size.
        channels: 1 or 3; without it 1 if all are grey, else 3.
        resize: how images of another size come to this one.

    Raises:
        DataError: a file is no image, damaged, or of another size; or all are too large together.
    """
    modes: list[str] = [""] * len(paths)
    sizes: list[tuple[int, int]] = [(0, 0)] * len(paths)

    def look(i: int) -> None:
        modes[i], sizes[i] = _header(paths[i])

    if size is None or channels is None:
        in_threads(look, len(paths), "looking at images")
    goal = _common_size(paths, sizes) if size is None else size
    if channels is None:
        channels = 1 if all(mode in _GREY for mode in modes) else 3
    images = allocate((len(paths), channels, *goal))
    places, mode = images.numpy(), "L" if channels == 1 else "RGB"

    def fill(i: int) -> None:
        places[i] = _opened(paths[i], lambda image: _pixels(image, goal, mode, resize))

    in_threads(fill, len(paths), "reading images")
    return images


def decode_image(
    content: bytes, *, size: tuple[int, int], kind: str, largest: int, channels: int = 3
) -> NDArray[np.uint8]:
    """One image of an archive or a spec, resized whole, uint8 (C, H, W).

    Args:
        content: of the file.
        size: (height, width).
        kind: the only format that is read: ``"JPEG"``, ``"PNG"`` or ``"PPM"``.
        largest: side in pixels.
        channels: C, 1 (grey) or 3.

    Raises:
        ValueError: it is damaged, of another format, or larger; the message says which.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            if max(image.size) > largest:
                raise ValueError(f"claims {image.height}x{image.width} pixels")
            return _pixels(image, size, mode, "squash")
    except UnidentifiedImageError:
        raise ValueError(f"is no {kind} image") from None
    except _DAMAGED as error:
        raise ValueError(f"is damaged: {error}") from None


def read_picture(path: Path, *, largest: int) -> NDArray[np.uint8]:
    """One image file, grey or colour as it is, uint8 (C, H, W).

    Args:
        path: of the file.
        largest: side in pixels; a larger image is made smaller, its proportions kept.

    Raises:
        DataError: there is no such file, it is no image, or damaged.
    """

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        scale = min(1.0, largest / max(image.size))
        size = (max(1, round(image.height * scale)), max(1, round(image.width * scale)))
        return _pixels(image, size, "L" if image.mode in _GREY else "RGB", "squash")

    if not os.path.isfile(path):  # noqa: PTH113 -- unlike Path's, it never raises
        raise DataError(f"there is no image '{path}'", "check its path")
    with bombs_are_errors():
        return _opened(path, pixels)


def in_threads(work: Callable[[int], None], count: int, what: str) -> None:
    """Calls ``work`` with every number below ``count``, several at once; says how far it is."""

    def several(start: int) -> int:
        stop = min(start + _AT_ONCE, count)
        for i in range(start, stop):
            work(i)
        return stop

    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool, bombs_are_errors():
        for done in pool.map(several, range(0, count, _AT_ONCE)):
            advance(what, done, count)


@contextmanager
def bombs_are_errors() -> Iterator[None]:
    """Pillow only warns of an image of 90 to 180 million pixels; no classifier wants one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (height, width) of an image; its pixels are not read."""
    return _opened(path, lambda image: (image.mode, (image.height, image.width)))


def _pixels(
    image: Image.Image, size: tuple[int, int], mode: str, resize: Resize
) -> NDArray[np.uint8]:
    """(C, H, W) of the given (height, width)."""
    image = _eight_bits(image)
    if image.mode != mode:
        image = image.convert(mode)
    if (image.height, image.width) != size:
        wide, bilinear = (size[1], size[0]), Image.Resampling.BILINEAR
        if resize == "crop":
            image = ImageOps.fit(image, wide, bilinear)
        elif resize == "pad":
            image = ImageOps.pad(image, wide, bilinear)
        else:
            image = image.resize(wide, bilinear)
    return np.asarray(image).reshape(*size, -1).transpose(2, 0, 1)  # (C, H, W)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8-bit grey; Pillow's own conversion would cut off what is above 255."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float32) / 257  # 65535 / 255
        return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # Pillow warns about the direct way to RGB
    return image


def _opened(path: Path, use: Callable[[Image.Image], T]) -> T:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return use(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path} claims more pixels than an image can have", "replace or delete it"
        ) from None
    except PermissionError:
        raise DataError(f"{path} may not be read", "check its permissions") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is damaged or not an image of its kind", "replace or delete it"
        ) from None
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged: {error}", "replace or delete it") from None


def _common_size(paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    first = sizes[0]
    for path, size in zip(paths, sizes, strict=True):
        if size != first:
            raise DataError(
                f"{path} is {size[0]}x{size[1]} pixels (height x width) where {paths[0]} is "
                f"{first[0]}x{first[1]}",
                "give a size that all images are brought to, and as resize how (crop, squash or "
                "pad), or make them one size",
            )
    return first
