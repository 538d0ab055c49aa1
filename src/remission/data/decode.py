"""One image file as uint8 pixels, as a viewer would show them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from remission.data.open_image import DAMAGED, decoded, opened, pillow_is_strict
from remission.errors import DataError

Resize = Literal["crop", "squash", "pad"]
"""How an image comes to a size. crop: it is resized until it just covers the size, and its centre
is cut out; squash: it is resized to the size, whatever that does to its proportions; pad: it is
resized until it just fits, with black around. All are bilinear, with antialiasing; an image that
has the size already stays as it is."""

WHITE = 65_535
"""The value of a 16-bit file that stands for white, unless the user says otherwise."""

DIM = 4
"""16-bit files that hold no value above white / 4 are nearly black: 14 bits or fewer, probably."""

_GREY = ("1", "L", "LA")
_MODES = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_EIGHT_BITS = "save it with 8 bits per channel"


@dataclass(frozen=True)
class Header:
    """What is known of an image before its pixels are read.

    Args:
        grey: it has no colours.
        deep: it has 16 bits per channel.
        frames: it holds several frames, of which the first one is read.
    """

    grey: bool
    deep: bool
    frames: bool


def read_header(path: Path) -> Header:
    """Looks at an image file.

    Raises:
        DataError: it is damaged, no image, or of a kind that is not read.
    """
    return opened(path, lambda image: _header(image, path))


def read_pixels(
    path: Path, *, size: tuple[int, int] | None, grey: bool, resize: Resize, white: int = WHITE
) -> tuple[NDArray[np.uint8], int]:
    """Decodes an image file: upright as its EXIF orientation says, on white where transparent.

    Args:
        path: of the file.
        size: (height, width) that it is brought to; None: it stays as large as it is.
        grey: one channel; else three.
        resize: how it is brought to the size.
        white: value that becomes 255 where the file has 16 bits per channel.

    Returns:
        The pixels, (C, H, W), and the largest value in the file where it has 16 bits, else 0.

    Raises:
        DataError: it is damaged, no image, of a kind that is not read, or holds a value above
            ``white``.
    """

    def pixels(image: Image.Image) -> tuple[NDArray[np.uint8], int]:
        plain, largest = _plain(image, path, white)
        return _fitted(plain, size or (plain.height, plain.width), grey, resize), largest

    return opened(path, pixels)


def decode_published(
    content: bytes, *, size: tuple[int, int], kind: Literal["JPEG", "PPM"], largest: int
) -> NDArray[np.uint8]:
    """Decodes a colour image of a published archive, resized whole, uint8 (3, H, W).

    An orientation that it may state is left alone, as by everybody who reads these archives.

    Args:
        content: of the file.
        size: (height, width).
        kind: the only format that is read.
        largest: side in pixels that it may have at most.

    Raises:
        ValueError: it is damaged, of another format, or larger; the message says which.
    """

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        if max(image.size) > largest:
            raise ValueError(f"claims {image.height}x{image.width} pixels")
        return _fitted(_eight_bits(image, WHITE), size, False, "squash")

    return decoded(content, kind, pixels)


def decode_picture(
    content: bytes, *, size: tuple[int, int], grey: bool, largest: int
) -> NDArray[np.uint8]:
    """Decodes a picture in PNG as :func:`read_pixels` does, resized whole, uint8 (C, H, W).

    Args:
        content: of the file.
        size: (height, width).
        grey: one channel; else three.
        largest: side in pixels that it may have at most.

    Raises:
        ValueError: it is damaged, no PNG, or larger; the message says which.
    """

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        if max(image.size) > largest:
            raise ValueError(f"claims {image.height}x{image.width} pixels")
        plain, _ = _plain(image, "the picture", WHITE)
        return _fitted(plain, size, grey, "squash")

    with pillow_is_strict():
        return decoded(content, "PNG", pixels)


def read_overlay(path: Path) -> NDArray[np.uint8]:
    """Reads one image file with its transparency, uint8 (4, H, W): red, green, blue, opacity.

    Colours are as the file has them, not laid on anything; opacity is 255 where nothing shows
    through.

    Raises:
        DataError: there is no such file, it is no image, or damaged.
    """

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright.convert("RGBA")).transpose(2, 0, 1)

    with pillow_is_strict():
        return opened(path, pixels)


def read_picture(path: Path, *, largest: int) -> NDArray[np.uint8]:
    """Reads one image file as :func:`read_pixels` does, grey or colour as it is, uint8 (C, H, W).

    Args:
        path: of the file.
        largest: side in pixels; a larger image is made smaller in its proportions.

    Raises:
        DataError: there is no such file, it is no image, damaged, or nearly black since only a
            small part of its 16 bits is used.
    """

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        header = _header(image, path)
        plain, peak = _plain(image, path, WHITE)
        if header.deep and peak * DIM < WHITE:
            raise DataError(
                f"{path} has 16 bits per channel and no value above {peak} of {WHITE}: it is "
                "nearly black",
                _EIGHT_BITS,
            )
        scale = min(1.0, largest / max(plain.size))
        size = (max(1, round(plain.height * scale)), max(1, round(plain.width * scale)))
        return _fitted(plain, size, header.grey, "squash")

    if not os.path.isfile(path):  # noqa: PTH113 -- unlike Path's, it never raises
        raise DataError(f"there is no image '{path}'", "check its path")
    with pillow_is_strict():
        return opened(path, pixels)


def _header(image: Image.Image, path: Path) -> Header:
    raw = _raw_mode(image)
    _check_mode(image, path)
    return Header(
        grey=image.mode in _GREY or image.mode.startswith("I") or raw.startswith("LA"),
        deep=_is_deep(image),
        frames=bool(getattr(image, "is_animated", False)),
    )


def _check_mode(image: Image.Image, path: Path | str) -> None:
    # 16 bits come as "I;16" or, from some formats, as "I", which elsewhere stands for 32 bits.
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in _OWN_SCALE)
    if image.mode not in _MODES and not sixteen:
        raise DataError(f"{path} has pixels of a kind that is not read ({image.mode})", _EIGHT_BITS)


_OWN_SCALE = ("PNG", "PPM")  # Pillow scales what a PPM file calls white to 65535


def _raw_mode(image: Image.Image) -> str:
    """Returns how the pixels lie in the file, in Pillow's words; empty once they are read."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""  # of (codec, extents, offset, arguments)
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _is_deep(image: Image.Image) -> bool:
    """Tells whether a file has 16 bits per channel and does not say which value is white.

    It must be asked before the pixels are read.
    """
    if image.format not in ("PNG", "TIFF"):
        return False
    return image.mode.startswith("I") or ";16" in _raw_mode(image)


def _plain(image: Image.Image, path: Path | str, white: int) -> tuple[Image.Image, int]:
    """Returns the image upright, in 8 bits, without transparency; and its largest 16-bit value."""
    _check_mode(image, path)
    deep = _is_deep(image)
    if deep and not image.mode.startswith("I") and "transparency" in image.info:
        raise DataError(f"{path} has a transparent colour of 16 bits per channel", _EIGHT_BITS)
    image.load()
    largest = _largest(image) if deep else 0
    if largest > white:
        raise DataError(
            f"{path} holds the value {largest}, above white = {white}",
            "give as white the value that stands for white in all files",
        )
    with suppress(*DAMAGED):  # without a readable one a viewer shows the image as it lies
        image.getexif()
    for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)  # read; Pillow would write it anew, and fails on odd entries
    ImageOps.exif_transpose(image, in_place=True)
    return _on_white(_eight_bits(image, white if deep else WHITE)), largest


def _largest(image: Image.Image) -> int:
    """Returns the largest value of a 16-bit image; of colours Pillow has the upper 8 bits only."""
    if image.mode.startswith("I"):
        return int(np.asarray(image).max())
    colours = image.convert("RGB").getextrema()
    return max(int(high) for _, high in colours) * (WHITE // 255)  # type: ignore[misc]


def _eight_bits(image: Image.Image, white: int) -> Image.Image:
    """Scales 16-bit grey to 8 bits; Pillow's own conversion would cut off what is above 255."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    scaled = (values.astype(np.float32) / (white / 255)).round().clip(0, 255).astype(np.uint8)
    if "transparency" in image.info:
        scaled[values == image.info["transparency"]] = 255
    return Image.fromarray(scaled)


def _on_white(image: Image.Image) -> Image.Image:
    """Lays an image with transparency on white: what hides behind it must not reach a model."""
    if not ("transparency" in image.info or {"A", "a"} & set(image.getbands())):
        return image
    grey = image.mode in _GREY
    laid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return laid.convert("L" if grey else "RGB")


def _fitted(
    image: Image.Image, size: tuple[int, int], grey: bool, resize: Resize
) -> NDArray[np.uint8]:
    """Returns the image in (height, width) ``size``, as (C, H, W)."""
    mode = "L" if grey else "RGB"
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
