"""Image files -> one uint8 tensor. Nothing about a file is trusted."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from remission.errors import DataError
from remission.progress import advance

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

T = TypeVar("T")


def read_images(
    paths: Sequence[Path], *, size: tuple[int, int] | None, channels: int | None
) -> Tensor:
    """The images of the files, uint8 (N, C, H, W), in their order.

    Args:
        paths: at least one file.
        size: (height, width) to resize and crop to; without it all must share one size.
        channels: 1 or 3; without it 1 if all are grey, else 3.

    Raises:
        DataError: a file is no image, damaged, or of another size; or all are too large together.
    """
    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool, _bombs_are_errors():
        headers = list(pool.map(_header, paths))
        if size is None:
            size = _common_size(paths, headers)
        if channels is None:
            channels = 1 if all(mode in _GREY for mode, _ in headers) else 3
        shape = (len(paths), channels, *size)
        _check_memory(shape)
        images = np.empty(shape, np.uint8)
        target, mode = size, "L" if channels == 1 else "RGB"

        def fill(i: int) -> None:
            images[i] = _decode(paths[i], target, mode)

        for done, _ in enumerate(pool.map(fill, range(len(paths))), start=1):
            advance("reading images", done, len(paths))
    return torch.from_numpy(images)


@contextmanager
def _bombs_are_errors() -> Iterator[None]:
    """Pillow only warns of an image of 90 to 180 million pixels; no classifier wants one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (height, width) of an image; its pixels are not read."""
    return _opened(path, lambda image: (image.mode, (image.height, image.width)))


def _decode(path: Path, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """(C, H, W) of the given (height, width)."""
    return _opened(path, lambda image: _pixels(image, size, mode))


def _pixels(image: Image.Image, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    image = _eight_bits(image)
    if image.mode != mode:
        image = image.convert(mode)
    if (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
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


def _common_size(
    paths: Sequence[Path], headers: Sequence[tuple[str, tuple[int, int]]]
) -> tuple[int, int]:
    first = headers[0][1]
    for path, (_, size) in zip(paths, headers, strict=True):
        if size != first:
            raise DataError(
                f"{path} is {size[0]}x{size[1]} pixels (height x width) where {paths[0]} is "
                f"{first[0]}x{first[1]}",
                "pass a size to resize and crop all images to, or make them one size",
            )
    return first


def _check_memory(shape: tuple[int, ...]) -> None:
    """Refuses what would fill more than half of the free memory, instead of being killed."""
    needed = int(np.prod(shape, dtype=np.float64))
    free = _free_memory()
    if free is not None and needed > free // 2:
        raise DataError(
            f"{shape[0]} images of {shape[2]}x{shape[3]} pixels need {needed / 2**30:.1f} GiB, "
            f"more than half of the free memory ({free / 2**30:.1f} GiB)",
            "pass a smaller size, or use fewer images",
        )


def _free_memory() -> int | None:
    """Bytes, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
