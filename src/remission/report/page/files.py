"""Where a page may be written, and writing it whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from remission.disk import obstacle, write_whole
from remission.errors import StoreError
from remission.records import STORE_MARK
from remission.records.places import is_local

Say = Callable[[str], None]
"""Takes a few words on the work in progress."""


def silent(_: str) -> None:
    """Says nothing."""


def check_place(out: Path, stores: Sequence[Path]) -> None:
    """Refuses a place that no page can be written to, or that belongs to a store.

    Args:
        out: the file to write.
        stores: the stores that the page is made from.

    Raises:
        StoreError: ``out`` cannot be written, or it belongs to one of the stores.
    """
    if problem := obstacle(out):
        raise StoreError(*problem)
    records = [(store / "records").resolve() for store in stores if is_local(store)]
    if out.name == STORE_MARK or any(out.resolve().is_relative_to(place) for place in records):
        raise StoreError(f"'{out}' belongs to the store", "name a file outside of it")


def write_page(out: Path, content: str | bytes) -> None:
    """Writes a page or another file, which replaces the old one when it is whole.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(out, [content if isinstance(content, bytes) else content.encode()])
    except OSError as error:
        raise StoreError(
            f"the file '{out}' cannot be written ({error.strerror or error})",
            "free some space, or name a file in a folder that you may write to",
        ) from error
