"""Damaged artefacts of a store, and files in it that no record needs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from remission.disk import PART
from remission.errors import StoreError
from remission.records.artefacts import DamagedError, read_artefact, set_aside
from remission.records.files import ARTEFACTS, folders, is_artefact_name
from remission.records.record import Record
from remission.records.store import Store

UNTOUCHED = 3600.0
"""Seconds after the last change of a file within which a run may be at work on it."""


def damaged(store: Store, records: Iterable[Record]) -> list[tuple[Record, str]]:
    """Compares every artefact with its checksum.

    A damaged artefact is set aside, so that the next run computes it anew.

    Returns:
        For each artefact that is missing or damaged: its record and a clause that says what is
        wrong.
    """
    flaws = []
    for record in records:
        for artefact in record.artefacts.values():
            try:
                read_artefact(store.folder, artefact)
            except DamagedError as error:
                flaws.append((record, error.problem))
                try:
                    set_aside(store.folder, artefact)
                except StoreError as refusal:
                    flaws[-1] = (record, str(refusal))
            except StoreError as error:
                flaws.append((record, str(error)))
    return flaws


def unneeded(store: Store, records: Iterable[Record], *, follow_links: bool = False) -> list[Path]:
    """Lists the files of a store that no record names.

    An interruption or the removal of a record leaves such files behind. A young file may belong to
    a run at work, see :func:`young`. Only plain files are listed, and only under names that
    remission gives to artefacts and to unfinished files.

    Args:
        store: the store to search.
        records: all of its records.
        follow_links: whether to search :func:`linked_folders` as well.
    """
    in_use = {store.folder / a.file for record in records for a in record.artefacts.values()}
    artefacts = store.folder / ARTEFACTS
    behind_links = set() if follow_links else set(linked_folders(store))
    inside = [f for d in folders(store.folder) if d not in behind_links for f in d.iterdir()]
    return sorted(
        file
        for file in inside
        if file.is_file()
        and not file.is_symlink()
        and file not in in_use
        and (
            file.name.startswith(PART) or (file.parent == artefacts and is_artefact_name(file.name))
        )
    )


def linked_folders(store: Store) -> list[Path]:
    """Lists the folders of a store that lie behind a link, where other stores may use their files.

    A store that lies behind a link as a whole has no such folder.
    """
    return [f for f in folders(store.folder) if f != store.folder and not _own(f, store.folder)]


def young(file: Path) -> bool:
    """Returns whether a run may be at work on a file, as it was written within the last hour.

    A run writes the record of a stage last, so that until then no record names the stage's files.

    Raises:
        FileNotFoundError: the file is gone.
    """
    return time.time() - file.stat().st_mtime < UNTOUCHED


def _own(folder: Path, store: Path) -> bool:
    """Returns whether a folder of a store lies in the store itself, and not behind a link."""
    return folder.resolve() == store.resolve() / folder.relative_to(store)
