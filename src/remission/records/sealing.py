"""A checksum within a JSON file of the store, so that no byte of it changes unnoticed.

A sealed file is the text of a JSON object whose first line is its checksum: the SHA-256 of
everything behind that line. Files of older stores have none, and are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_LINE = re.compile(r'\{\n "checksum": "([0-9a-f]{64})",\n')
_BYTES = 32
_HEAD, _HASH = 90, re.compile(r"[0-9a-f]{32}")
"""The first characters of a file, and what among them shows that its first line was a checksum."""


def sealed(text: str) -> str:
    """Adds a checksum to the text of a JSON object as the first of its lines.

    Args:
        text: as ``json.dumps`` writes it with ``indent=1``.
    """
    body = text.removeprefix("{\n")
    if body == text:  # an empty object, which has no line to stand before
        return text
    return f'{{\n "checksum": "{_digest(body)}",\n{body}'


def unsealed(text: str) -> str:
    """Returns the text without its checksum, or as it is where it never had one.

    Raises:
        ValueError: the text is not the one that the checksum was made of.
    """
    found = _LINE.match(text)
    if found is None:
        if _HASH.search(text[:_HEAD]):  # a line that was a checksum
            raise ValueError("the checksum is damaged")
        return text
    body = text[found.end() :]
    if found[1] != _digest(body):
        raise ValueError("wrong checksum")
    return "{\n" + body


def is_sealed(text: str) -> bool:
    """Returns whether a text begins with a checksum."""
    return _LINE.match(text) is not None


def sealed_json(value: dict[str, Any]) -> str:
    """Returns a JSON object as sealed text; its keys stay in their order."""
    return sealed(json.dumps(value, indent=1))


def sealed_bytes(content: bytes) -> bytes:
    """Returns any content with its SHA-256 before it."""
    return hashlib.sha256(content).digest() + content


def unsealed_bytes(content: bytes) -> bytes:
    """Returns the content without its checksum.

    Raises:
        ValueError: the content is not the one that the checksum was made of.
    """
    digest, body = content[:_BYTES], content[_BYTES:]
    if digest != hashlib.sha256(body).digest():
        raise ValueError("wrong checksum")
    return body


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
