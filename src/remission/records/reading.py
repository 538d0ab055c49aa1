"""Reading records: one file, or all files of a store or of a folder in git."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from functools import cache
from typing import Any

from remission.errors import StoreError
from remission.records.cell import Cell
from remission.records.files import (
    CLAIMS,
    RECORDS,
    STORE_MARK,
    foreign_files,
    is_record_name,
    record_folders,
    record_names,
)
from remission.records.identity import FOLDER
from remission.records.path import PathCurve
from remission.records.places import (
    CHECK_NETWORK,
    StorePath,
    is_local,
    no_store,
    place_of,
    read_all,
    unreadable,
)
from remission.records.record import FORMAT, Record
from remission.records.superseded import current, versions_in

_log = logging.getLogger(__name__)

_SHOWN = 5
"""The number of foreign files that a warning names; it counts the others."""
_ANEW = "run the spec again, which computes it anew, or remove the file"
"""What to do about a damaged record."""


def read_record(file: StorePath, kind: str | None = None) -> Record:
    """Reads a record from a file.

    Args:
        file: its name must be the record's id, its ending ``.json``.
        kind: the kind of stage that the record must be of; None: any.

    Raises:
        StoreError: there is no such file, it is damaged, or it holds another record than its place
            says.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        if file.is_dir():
            raise StoreError(
                f"'{file}' is a folder where a record belongs", "remove it, then run the spec again"
            ) from error
        raise StoreError(
            f"the record {file} cannot be read ({error})",
            "check its permissions" if is_local(file) else CHECK_NETWORK,
        ) from error
    return parsed(content, file, kind)


def parsed(content: bytes, file: StorePath, kind: str | None = None) -> Record:
    """Returns the record that a file holds.

    Args:
        content: of the file.
        file: as for :func:`read_record`; nothing is read here.
        kind: as for :func:`read_record`.

    Raises:
        StoreError: it is damaged, or holds another record than its place says.
    """
    try:
        record = Record.from_json(content.decode())
    except ValueError as error:
        raise StoreError(
            f"the record {file} is damaged (not a record of format {FORMAT}, or not as it was "
            "written)",
            _ANEW,
        ) from error
    if record.id != file.stem or kind not in (None, record.kind):
        raise StoreError(
            f"the record {file} is damaged (it is that of the {record.kind} {record.id})",
            "remove the file, then run the spec again",
        )
    return record


def read_records(folder: StorePath | str, *, superseded: bool = False) -> list[Record]:
    """Reads all records of a store, or below a folder of records in git.

    Args:
        folder: the store, or the folder, see :func:`remission.records.places.place_of`.
        superseded: whether to include records of earlier versions of the code, see
            :mod:`remission.records.superseded`.

    Returns:
        The records, sorted by kind and label.

    Raises:
        StoreError: there is no such folder, no record in it, or one that cannot be read.
    """
    folder = place_of(folder)
    try:
        is_store, files = _record_files(folder)
        contents = _contents(files)
    except OSError as error:
        raise unreadable(folder, error) from error
    records = [
        parsed(contents[file], file, kind) if file in contents else read_record(file, kind)
        for file in files
        for kind in [file.parent.name if is_store else None]
    ]
    if not records:
        raise StoreError(
            f"the folder '{folder}' holds no records", "run a spec into it first: remission run"
        )
    if not superseded:
        records = current(records, versions_in(folder))
    return sorted(records, key=lambda r: (r.kind, r.label, r.id))


def digests(folder: StorePath | str) -> dict[str, tuple[str, str]]:
    """Returns identity -> place below the folder and SHA-256 of the file, for each record.

    Args:
        folder: as for :func:`read_records`.

    Raises:
        StoreError: there is no such folder, or a file cannot be read.
    """
    folder = place_of(folder)
    try:
        files = _record_files(folder)[1]
        contents = _contents(files)
        return {
            file.stem: (
                file.relative_to(folder).as_posix(),
                hashlib.sha256(contents.get(file) or file.read_bytes()).hexdigest(),
            )
            for file in files
        }
    except OSError as error:
        raise unreadable(folder, error) from error


def _record_files(folder: StorePath) -> tuple[bool, list[StorePath]]:
    """Returns whether a folder is a store, and the files of all records in it.

    Raises:
        StoreError: there is no such folder.
        OSError: it cannot be read.
    """
    if not folder.is_dir():
        raise no_store(folder)
    is_store = (folder / STORE_MARK).exists() or (folder / RECORDS).is_dir()
    return is_store, _files_in_store(folder) if is_store else _one_per_stage(_files_below(folder))


def _files_in_store(store: StorePath) -> list[StorePath]:
    """Lists the files of all records of a store; warns once of other files in its folders."""
    if foreign := foreign_files(store):
        _name_once(store, tuple(str(file.relative_to(store)) for file in foreign))
    return [folder / name for folder in record_folders(store) for name in record_names(folder)]


def _contents(files: Iterable[StorePath]) -> dict[StorePath, bytes]:
    """Reads files at once that lie behind a network; those on this computer are read one by one.

    Raises:
        OSError: they cannot be read.
    """
    contents, by_folder = dict[StorePath, bytes](), dict[StorePath, list[StorePath]]()
    for file in files:
        if not is_local(file):
            by_folder.setdefault(file.parent, []).append(file)
    for folder, inside in by_folder.items():
        found = read_all(folder, (file.name for file in inside))
        contents |= {folder / name: content for name, content in found.items()}
    return contents


def _files_below(folder: StorePath) -> list[StorePath]:
    """Lists the files of all records below a folder in git; warns once of other JSON files."""
    files = sorted(folder.rglob("*.json"))
    if foreign := [file for file in files if not is_record_name(file.name)]:
        _name_once(folder, tuple(str(file.relative_to(folder)) for file in foreign))
    return [file for file in files if is_record_name(file.name) and file.parent.name != CLAIMS]


def _one_per_stage(files: Iterable[StorePath]) -> list[StorePath]:
    """Leaves one file to each stage that several folders hold: that of the newest result.

    Raises:
        StoreError: one of several records of a stage is damaged.
    """
    by_stage: dict[str, list[StorePath]] = {}
    for file in files:
        by_stage.setdefault(file.stem, []).append(file)
    return [
        same[0] if len(same) == 1 else max(same, key=lambda file: read_record(file).worth)
        for same in by_stage.values()
    ]


@cache
def _name_once(folder: StorePath, names: tuple[str, ...]) -> None:
    """Warns of files that do not belong to a store, once in the life of this process."""
    listing = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    what = "a file that is" if len(names) == 1 else f"{len(names)} files that are"
    _log.warning("passed over %s none of the store's in '%s': %s%s", what, folder, listing, more)


def brief(value: Any) -> Any:  # noqa: ANN401 -- a JSON value of any kind
    """Returns a JSON value in which each picture, a ``data:`` URI, is replaced by a short name.

    The name, such as ``png:1a2b3c4d``, holds a digest of the whole URI, so that different pictures
    have different names.
    """
    if isinstance(value, dict):
        return {key: brief(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [brief(entry) for entry in value]
    if isinstance(value, str) and value.startswith("data:image/"):
        kind = value.removeprefix("data:image/").partition(";")[0]
        return f"{kind}:{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return value


def cells(records: Iterable[Record]) -> list[Cell]:
    """Returns the cells of those ``records`` that have one."""
    return [record.cell for record in records if record.cell is not None]


def path_curves(records: Iterable[Record]) -> list[PathCurve]:
    """Returns the paths of all ``records``."""
    return [path for record in records for path in record.paths]


def folder_name(store: StorePath, digest: str) -> str | None:
    """Returns what the records of a store call an image folder; None where it is new there.

    Args:
        store: folder of the store; it need not exist.
        digest: of the folder's content, as identities hold it.
    """
    for file in sorted((store / RECORDS / "victim").glob("*.json")):
        try:
            record = read_record(file)
        except StoreError:  # It is reported where the records themselves are read.
            continue
        context = record.settings.get("context", {})
        if record.cell and context.get("dataset") == FOLDER and context.get("data") == digest:
            return record.cell.dataset
    return None
