"""Opening image files with Pillow. Nothing about a file is trusted."""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import Image, UnidentifiedImageError

from remission.errors import DataError

EXTENSIONS = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff", ".gif"),
    }
)
"""Endings of the files that are read, in small letters."""

# Named, because others would be opened too: PostScript runs a program, whatever the file's ending.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF", "GIF")

DAMAGED = (
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
"""What Pillow's decoders are known to raise on files that are no images, or damaged ones."""

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")

T = TypeVar("T")


@contextmanager
def pillow_is_strict() -> Iterator[None]:
    """Makes images of more than 90 million pixels errors within this context.

    Pillow itself only warns of those with up to 180 million; no classifier wants one. Its warnings
    of odd metadata are left out, since no pixel depends on them, and what it logs of a damaged file
    is said by the error.
    """
    log = logging.getLogger("PIL")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        log.setLevel(level)


def decoded(content: bytes, kind: str, use: Callable[[Image.Image], T]) -> T:
    """Returns what ``use`` makes of the image in ``content``.

    Args:
        content: of an image file.
        kind: the only format that is read.
        use: may raise a DataError, or whatever Pillow raises.

    Raises:
        ValueError: the content is no such image, damaged, or refused by ``use``.
    """
    try:
        return _used(io.BytesIO(content), (kind,), use)
    except UnidentifiedImageError:
        raise ValueError(f"is no {kind} image") from None
    except DataError as error:
        raise ValueError(error.problem) from None
    except DAMAGED as error:
        raise ValueError(f"is damaged: {error}") from None


def opened(path: Path, use: Callable[[Image.Image], T]) -> T:
    """Returns what ``use`` makes of the image in a file.

    Args:
        path: of the file.
        use: may raise a DataError, or whatever Pillow raises.

    Raises:
        DataError: the file is no image, damaged, may not be read, or is refused by ``use``.
    """
    try:
        with path.open("rb") as stream:
            return _used(stream, _FORMATS, use)
    except DataError:
        raise
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
    except DAMAGED as error:
        raise DataError(f"{path} is damaged: {error}", "replace or delete it") from None


def _used(stream: BinaryIO, formats: tuple[str, ...], use: Callable[[Image.Image], T]) -> T:
    """Returns what ``use`` makes of the image, if need be without the text in it."""
    try:
        with Image.open(stream, formats=formats) as image:
            return use(image)
    except DataError:
        raise
    except DAMAGED:
        stripped = _without_text(stream)
        if stripped is None:
            raise
    with Image.open(stripped, formats=formats) as image:
        return use(image)


def _without_text(stream: BinaryIO) -> BinaryIO | None:
    """Copies a PNG without text and colour profile, or returns None if it has neither.

    No pixel depends on them. To be safe from bombs, Pillow refuses an image whose text is long, and
    its limits hold for a whole process. Here the text is skipped and never unpacked.
    """
    stream.seek(0)
    if stream.read(len(_PNG)) != _PNG:
        return None
    rest, dropped = io.BytesIO(), False
    rest.write(_PNG)
    while len(head := stream.read(8)) == 8:  # length and type
        after = int.from_bytes(head[:4], "big") + 4  # content and checksum
        if head[4:] in _TEXT:
            stream.seek(after, os.SEEK_CUR)
            dropped = True
        else:
            rest.write(head + stream.read(after))
    rest.seek(0)
    return rest if dropped else None
