"""Text from outside, such as messages of methods, in a form that every reader of a record takes."""

from __future__ import annotations

from typing import Any


def storable(value: Any) -> Any:  # noqa: ANN401 -- a JSON value of any kind
    r"""Returns a JSON value in whose texts each lone surrogate is spelled out, as ``\udcff``.

    Python holds bytes that are no UTF-8, such as those in a file's name, as lone surrogates. No
    encoding writes these, and strict readers of JSON refuse them.
    """
    if isinstance(value, str):
        if value.isascii():  # nearly all are, and each record that is read comes by here
            return value
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [storable(entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(storable(entry) for entry in value)
    return value
