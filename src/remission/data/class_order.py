"""Which class is which number: the order of the names of class folders."""

from __future__ import annotations

import re
from collections.abc import Iterable

from remission.errors import DataError
from remission.names import composed

_WHOLE_NUMBER = re.compile(r"[+-]?\d+")
"""As Python's ``int`` reads it: the decimal digits of any script, but no superscripts."""


def class_order(names: Iterable[str]) -> list[str]:
    """The names of class folders, composed (NFC), in the order in which they are numbered.

    Where all names are whole numbers they are sorted by value, so that of ``0`` ... ``11`` each is
    its own number; otherwise as text, by code points: a single other name among numbers makes all
    of them text, since then the numbers are no count of the classes.

    Args:
        names: as the disk spells them.

    Raises:
        DataError: two names read alike.
    """
    spelled: dict[str, str] = {}
    for name in names:
        other = spelled.setdefault(composed(name), name)
        if other != name:
            raise DataError(
                f"two class folders are called '{composed(name)}', which Unicode writes in two "
                "ways",
                "give one of them another name, or put their images into one",
            )
    if spelled and all(_WHOLE_NUMBER.fullmatch(name) for name in spelled):
        return sorted(spelled, key=lambda name: (int(name), name))
    return sorted(spelled)
