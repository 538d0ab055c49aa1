"""Damaged files of a store, and files in it that no record needs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from remission.disk import PART
from remission.errors import StoreError
from remission.records.artefacts import DamagedError, read_stored, set_aside
from remission.records.files import (
    ARTEFACTS,
    PLANS,
    RECORDS,
    SNAPSHOTS,
    SPECS,
    STORE_MARK,
    VERSIONS_FILE,
    folders,
    is_artefact_name,
    is_name_in,
    record_folders,
    record_names,
)
from remission.records.mark import MARK, check_mark
from remission.records.places import StorePath, attempts, is_local, read_all, sizes_in, unreadable
from remission.records.reading import parsed, read_record
from remission.records.record import Record
from remission.records.sealing import is_sealed, unsealed, unsealed_bytes
from remission.records.store import Store

UNTOUCHED = 3600.0
"""Seconds after the last change of a file within which a run may be at work on it."""


_OF_ITS_SPEC = (
    "run its spec again, which writes it anew, or remove it if you no longer use the spec"
)
_OF_ANY_SPEC = "run any spec again, which writes it anew"
_BEGUN_ANEW = "run its spec again, which begins this training anew, or remove the file"
"""What to do about a damaged file that no result lies in."""


@dataclass(frozen=True)
class Flaw:
    """A file of a store that is missing or damaged.

    Args:
        file: its name within the store.
        what: a clause that says what is wrong.
        remedy: a clause that says what to do about it.
        label: that of its record; empty where it belongs to none.
    """

    file: str
    what: str
    remedy: str
    label: str = ""


@dataclass
class Check:
    """What a check of a whole store found.

    Args:
        flaws: what is missing or damaged.
        files: the number of files that were checked.
        records: the number of records among them.
        unsealed: the number of records of older versions, whose text has no checksum.
    """

    flaws: list[Flaw] = field(default_factory=list)
    files: int = 0
    records: int = 0
    unsealed: int = 0


def check_store(folder: StorePath, say: Callable[[str], None] = lambda _: None) -> Check:
    """Compares every file of a store with its checksum.

    A damaged artefact is set aside, so that the next run computes it anew. Every other damaged file
    stays as it is, and each flaw says what mends it: most files are written anew by the next run of
    their spec, but no run goes into a store whose mark, :data:`STORE_MARK`, is damaged. The files
    in ``claims/`` are not checked, as they change meanwhile and no result depends on them.

    Args:
        folder: the store.
        say: takes a few words on each step of the work.

    Raises:
        StoreError: the store cannot be read, or holds no records.
    """
    check = Check()
    try:
        _check_mark(folder, check)
        for kind in record_folders(folder):
            names = record_names(kind)
            say(f"checking {len(names)} records: {kind.name}")
            contents = attempts(kind, names)
            for name in names:
                _check_record(folder, kind / name, contents.get(name), check, say)
        say("checking specs and plans")
        for place in (folder / SPECS, folder / PLANS):
            for name, content in contents_of(place):
                check.files += 1
                check.flaws += flaws_of_text(place.name, name, content)
        for name in sorted(sizes_in(folder / SNAPSHOTS)):
            if is_name_in(SNAPSHOTS, name):
                with suppress(FileNotFoundError):  # its training ended meanwhile
                    flaw = _snapshot_flaw((folder / SNAPSHOTS / name).read_bytes())
                    _check_file(f"{SNAPSHOTS}/{name}", flaw, _BEGUN_ANEW, check)
        if VERSIONS_FILE in sizes_in(folder):
            content = (folder / VERSIONS_FILE).read_bytes()
            _check_file(VERSIONS_FILE, _json_flaw(content), _OF_ANY_SPEC, check)
    except OSError as error:
        raise unreadable(folder, error) from error
    if not check.records:
        raise StoreError(
            f"the folder '{folder}' holds no records", "run a spec into it first: remission run"
        )
    return check


def _check_mark(folder: StorePath, check: Check) -> None:
    try:
        check_mark(folder)
    except DamagedError as error:
        check.flaws.append(Flaw(STORE_MARK, error.problem, error.remedy))
    except FileNotFoundError:
        check.flaws.append(
            Flaw(STORE_MARK, f"the file {STORE_MARK} is missing", f"write {MARK} into it")
        )
    check.files += 1


def _check_record(
    folder: StorePath,
    file: StorePath,
    content: bytes | OSError | None,
    check: Check,
    say: Callable[[str], None],
) -> None:
    """Checks a record, and the artefacts that it names; None: its file is gone."""
    name, kind = f"{RECORDS}/{file.parent.name}/{file.name}", file.parent.name
    check.files += 1
    check.records += 1
    try:
        if isinstance(content, bytes):
            record = parsed(content, file, kind)
        else:
            record = read_record(file, kind)
    except StoreError as error:
        check.flaws.append(Flaw(name, error.problem, error.remedy))
        return
    check.unsealed += isinstance(content, bytes) and not is_sealed(content.decode())
    for artefact in record.artefacts.values():
        say(f"checking {artefact.file}")
        check.files += 1
        try:
            read_stored(folder, artefact)
        except DamagedError as error:
            flaw: StoreError = error
            try:
                set_aside(folder, artefact)
            except StoreError as refusal:
                flaw = refusal
            check.flaws.append(Flaw(artefact.file, flaw.problem, flaw.remedy, record.label))
        except StoreError as error:
            check.flaws.append(Flaw(artefact.file, error.problem, error.remedy, record.label))


def _check_file(name: str, flaw: str, remedy: str, check: Check) -> None:
    check.files += 1
    if flaw:
        check.flaws.append(Flaw(name, f"the file {name} is damaged ({flaw})", remedy))


def contents_of(folder: StorePath) -> Iterator[tuple[str, bytes]]:
    """Yields names and contents of the JSON files of a folder that are the store's own."""
    own = [name for name in sizes_in(folder) if is_name_in(folder.name, name)]
    yield from sorted(read_all(folder, own).items())


def flaws_of_text(folder: str, name: str, content: bytes) -> list[Flaw]:
    """Returns what is wrong with a spec or a plan; an empty list for an undamaged one.

    Args:
        folder: :data:`SPECS` or :data:`PLANS`.
        name: of the file.
        content: of the file.
    """
    flaw = _spec_flaw(name, content) if folder == SPECS else _json_flaw(content)
    file = f"{folder}/{name}"
    return [Flaw(file, f"the file {file} is damaged ({flaw})", _OF_ITS_SPEC)] if flaw else []


def _spec_flaw(name: str, content: bytes) -> str:
    """Says what is wrong with the text of a spec, whose name ends with its digest."""
    digest = hashlib.sha256(content).hexdigest()[:8]
    named = name.removesuffix(".json").rpartition("-")[2]
    return "" if named == digest else f"its digest is {digest}"


def _snapshot_flaw(content: bytes) -> str:
    """Says what is wrong with a snapshot, which the next run then does not use."""
    try:
        unsealed_bytes(content)
    except ValueError as error:
        return str(error)
    return ""


def _json_flaw(content: bytes) -> str:
    """Says what is wrong with a file that may hold its own checksum."""
    try:
        json.loads(unsealed(content.decode()))
    except ValueError as error:
        return str(error)
    return ""


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
    if not is_local(store.folder):
        return []
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
