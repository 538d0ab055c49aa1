"""What is wrong with a store, and what of it nobody needs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path

from remission.errors import StoreError
from remission.records.artefacts import DamagedError, read_artefact, set_aside
from remission.records.files import ARTEFACTS, DAMAGED, PART, PLANS, RECORDS, SPECS
from remission.records.record import Record
from remission.records.store import Store

UNTOUCHED = 3600.0
"""Seconds after which no run still writes a file, or the record of an artefact."""
_ARTEFACT = re.compile(rf"[0-9a-f]{{16}}\.[a-z_]+\.(safetensors|png)({re.escape(DAMAGED)})?")


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


def unneeded(store: Store, records: Iterable[Record]) -> list[Path]:
    """Files of the store that no record names: left by an interruption, or by removed records.

    The young ones among them may be those of a run at work, see :func:`young`.
    Only plain files whose names are an artefact's, in folders that lie in the store themselves.
    """
    named = {store.folder / a.file for record in records for a in record.artefacts.values()}
    artefacts = store.folder / ARTEFACTS
    folders = [store.folder, artefacts, store.folder / SPECS, store.folder / PLANS]
    folders += sorted((store.folder / RECORDS).glob("*"))
    inside = [f for d in folders if d.is_dir() and _own(d, store.folder) for f in d.iterdir()]
    return sorted(
        file
        for file in inside
        if file.is_file()
        and not file.is_symlink()
        and file not in named
        and (
            file.name.startswith(PART)
            or (file.parent == artefacts and _ARTEFACT.fullmatch(file.name))
        )
    )


def young(file: Path) -> bool:
    """Whether a run may be at work on a file that no record names: it writes the record last."""
    return time.time() - file.stat().st_mtime < UNTOUCHED


def _own(folder: Path, store: Path) -> bool:
    """Whether a folder really lies where its path says."""
    return folder.resolve() == store.resolve() / folder.relative_to(store)
