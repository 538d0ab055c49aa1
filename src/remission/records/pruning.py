"""Removes results that the last runs into a store did not ask for, such as those of older data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from remission.errors import StoreError
from remission.records.ancestry import with_ancestors
from remission.records.checking import linked_folders, young
from remission.records.files import ARTEFACTS, SNAPSHOTS, is_name_in
from remission.records.places import StorePath, is_local, size_of, sizes_in
from remission.records.plans import checked_plans
from remission.records.record import Record
from remission.records.store import Store


@dataclass(frozen=True)
class Removal:
    """A record that no plan asks for.

    Args:
        record: the one that no plan asks for.
        files: the file of the record, then those of its artefacts, as far as they exist.
        size: how many bytes they take. A link counts itself: the file behind it is not removed.
        recent: whether the record is one of the last hour, so that a run may be at work.
    """

    record: Record
    files: tuple[Path, ...]
    size: int
    recent: bool = False


def unasked(
    store: Store, records: Iterable[Record], *, follow_links: bool = False
) -> Iterator[Removal]:
    """Finds the records that are in no plan of the store, and that no record in a plan builds upon.

    Each spec has one plan, that of its last run. A record of the last hour is marked, as the run
    that wrote it may be at work.

    Args:
        store: the store to search.
        records: all of its records.
        follow_links: whether files in :func:`remission.records.checking.linked_folders` count.

    Raises:
        StoreError: the store keeps no plans, or one of them cannot be read.
    """
    records = list(records)
    needed = _asked_for(store, records)
    behind_links = set() if follow_links else set(linked_folders(store))
    in_use = {a.file for r in records if r.id in needed for a in r.artefacts.values()}
    for record in records:
        record_file = store.record_file(record.kind, record.id)
        if record.id in needed or record_file.parent in behind_links:
            continue
        artefacts = [a.file for a in record.artefacts.values() if a.file not in in_use]
        if store.folder / ARTEFACTS in behind_links:
            artefacts = []
        files = [record_file, *(store.folder / name for name in artefacts)]
        existing = tuple(file for file in files if file.is_file() or file.is_symlink())
        size = sum(_size_of(file) for file in existing)
        recent = record_file in existing and young(record_file)
        yield Removal(record, existing, size, recent=recent)


def unasked_snapshots(store: Store) -> list[StorePath]:
    """Lists the snapshots of trainings that no plan asks for, but for those of the last hour.

    Raises:
        StoreError: the store keeps no plans, or one of them cannot be read.
    """
    asked, folder = _asked_for(store, ()), store.folder / SNAPSHOTS
    names = sorted(name for name in sizes_in(folder) if is_name_in(SNAPSHOTS, name))
    files = [folder / name for name in names if name.partition(".")[0] not in asked]
    return [file for file in files if not young(file)]


def _size_of(file: StorePath) -> int:
    """Returns the bytes that the removal of a file frees; behind a network nothing is a link."""
    return file.lstat().st_size if is_local(file) else size_of(file) or 0


def remove(store: Store, removal: Removal) -> bool:
    """Removes a record and then its artefacts, unless a run has begun that asks for it.

    The plans are read once more for this check.

    Returns:
        Whether they were removed.

    Raises:
        StoreError: a file cannot be removed.
    """
    if removal.record.id in _asked_for(store, [removal.record]):
        return False
    for file in removal.files:
        try:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
        except OSError as error:
            raise StoreError(
                f"'{file}' cannot be removed ({error})",
                "check its permissions, then run the same command again",
            ) from error
    return True


def _asked_for(store: Store, records: Iterable[Record]) -> set[str]:
    """Lists the identities in the plans, and those that their records build upon.

    Raises:
        StoreError: there is no plan, or one of them is damaged.
    """
    plans = checked_plans(store.folder)
    if not plans:
        raise StoreError(
            f"the store '{store.folder}' keeps no plans, so that nothing says what is asked for",
            "run the spec again, which writes its plan",
        )
    parents = {record.id: record.parents.values() for record in records}
    asked = {stage.rpartition("/")[2] for plan in plans for stage in plan.stages}
    return with_ancestors(asked, parents)
