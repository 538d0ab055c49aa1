"""What is wrong with a store, and what of it nobody needs."""

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
"""Seconds after which no run still writes a file, or the record of an artefact."""


def damaged(store: Store, records: Iterable[Record]) -> list[tuple[Record, str]]:
    """The finished records with an artefact that is missing or damaged, and what is wrong.

    Reads every artefact. A damaged one is set aside, so that the next run computes it anew.
    """
    found = []
    for record in records:
        for artefact in record.artefacts.values():
            try:
                read_artefact(store.folder, artefact)
            except DamagedError as error:
                found.append((record, error.problem))
                try:
                    set_aside(store.folder, artefact)
                except StoreError as refused:
                    found[-1] = (record, str(refused))
            except StoreError as error:
                found.append((record, str(error)))
    return found


def unneeded(store: Store, records: Iterable[Record], *, follow_links: bool = False) -> list[Path]:
    """The files of a store that no record names: left by an interruption, or by removed records.

    The young ones among them may be those of a run at work, see :func:`young`. Only plain files
    count whose names are those of an artefact or of an unfinished file.

    Args:
        store: whose files.
        records: all of them.
        follow_links: also the files in :func:`linked_folders`.
    """
    named = {store.folder / a.file for record in records for a in record.artefacts.values()}
    artefacts = store.folder / ARTEFACTS
    left_out = set() if follow_links else set(linked_folders(store))
    inside = [f for d in folders(store.folder) if d not in left_out for f in d.iterdir()]
    return sorted(
        file
        for file in inside
        if file.is_file()
        and not file.is_symlink()
        and file not in named
        and (
            file.name.startswith(PART) or (file.parent == artefacts and is_artefact_name(file.name))
        )
    )


def linked_folders(store: Store) -> list[Path]:
    """The folders of a store that a link leads to. Other stores may use their files as well."""
    return [f for f in folders(store.folder) if f != store.folder and not _own(f, store.folder)]


def young(file: Path) -> bool:
    """Whether a run may be at work on a file that no record names: it writes the record last."""
    return time.time() - file.stat().st_mtime < UNTOUCHED


def _own(folder: Path, store: Path) -> bool:
    """Whether a folder really lies where its path says."""
    return folder.resolve() == store.resolve() / folder.relative_to(store)
