"""Text files that people write: UTF-8, with or without a byte-order mark."""

from __future__ import annotations

import codecs
from pathlib import Path

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark begins the same
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class EncodingError(ValueError):
    """The content of a file is no UTF-8; the message says what it is instead."""


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark, with Unix line ends.

    Raises:
        OSError: the file cannot be read.
        EncodingError: it is written in another encoding.
    """
    return decode(file.read_bytes())


def decode(content: bytes) -> str:
    """The text of UTF-8 bytes, as :func:`read_text` returns it.

    Raises:
        EncodingError: the bytes are in another encoding.
    """
    for mark, encoding in _WIDE.items():
        if content.startswith(mark):
            raise EncodingError(f"it is written in {encoding}")
    if b"\0" in content:
        raise EncodingError("it holds zero bytes, as UTF-16 does")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EncodingError(
            f"line {line} holds the byte 0x{content[error.start]:02x}, which is no UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


SAVE_AS_UTF8 = "save it as UTF-8"
"""The remedy for an :class:`EncodingError`."""
