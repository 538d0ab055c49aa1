"""Files that a training writes while it runs; the next run goes on from them if it is killed."""

from __future__ import annotations

from contextlib import suppress

from remission.records.files import SNAPSHOTS
from remission.records.mark import check_still_there
from remission.records.places import StorePath, write
from remission.records.sealing import sealed_bytes, unsealed_bytes


def keep_snapshot(store: StorePath, identity: str, content: bytes) -> None:
    """Writes the snapshot of a stage, in place of an older one.

    Raises:
        OSError: it cannot be written.
        StoreError: the store was removed.
    """
    check_still_there(store)
    write(_file(store, identity), sealed_bytes(content))


def read_snapshot(store: StorePath, identity: str) -> bytes | None:
    """Returns the snapshot of a stage; None where there is none that is undamaged."""
    try:
        return unsealed_bytes(_file(store, identity).read_bytes())
    except (OSError, ValueError):
        return None


def drop_snapshot(store: StorePath, identity: str) -> None:
    """Removes the snapshot of a stage, if there is one that can be removed."""
    with suppress(OSError):
        _file(store, identity).unlink(missing_ok=True)


def _file(store: StorePath, identity: str) -> StorePath:
    return store / SNAPSHOTS / f"{identity}.snapshot"
