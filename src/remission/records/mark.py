"""The file that makes a place a store, and the links in a store."""

from __future__ import annotations

import json

from remission.errors import StoreError
from remission.records.artefacts import DamagedError
from remission.records.files import ARTEFACTS, PLANS, RECORDS, SPECS, STORE_MARK
from remission.records.kinds import KINDS
from remission.records.places import StorePath, is_local

MARK = '{"format": 1}'
"""The content of the file that makes a place a store."""


def check_still_there(store: StorePath) -> None:
    """Checks that a store was not removed while it is in use: a new one must not grow in its place.

    Behind a network nothing is checked.

    Raises:
        StoreError: it was removed.
    """
    if is_local(store) and not (store / STORE_MARK).exists():
        raise StoreError(
            f"the store '{store}' was removed while it was in use",
            "bring it back, or run again to compute everything anew",
        )


def check_links(folder: StorePath) -> None:
    """Refuses a store with a link in place of a folder that leads nowhere.

    The disk that it leads to may be absent. Nothing could be written behind such a link.

    Raises:
        StoreError: there is such a link; the message names it.
    """
    places = [folder, *(folder / name for name in (RECORDS, ARTEFACTS, SPECS, PLANS))]
    places += [folder / RECORDS / kind for kind in KINDS]
    for place in places:
        if place.is_symlink() and not place.exists():
            raise StoreError(
                f"'{place}' is a link to '{place.readlink()}', which does not exist",
                "attach the disk that it leads to, or remove the link to have everything behind it "
                "computed anew",
            )


def check_mark(folder: StorePath) -> None:
    """Checks the file that makes a place a store.

    Raises:
        DamagedError: it is damaged.
        StoreError: it is that of a newer remission.
        OSError: it cannot be read.
    """
    text = (folder / STORE_MARK).read_bytes().decode(errors="replace")
    if text == MARK:
        return
    try:
        newer = json.loads(text)["format"] > 1
    except (ValueError, KeyError, TypeError):
        newer = False
    if newer:
        raise StoreError(f"the store '{folder}' was made by a newer remission", "update remission")
    raise DamagedError(
        f"the file '{folder / STORE_MARK}' is damaged", f"write exactly {MARK} into it, in one line"
    )
