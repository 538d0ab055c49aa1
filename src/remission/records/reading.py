"""Reading records: one file, or all of a store or of a folder in git."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from remission.errors import StoreError
from remission.records.cell import Cell
from remission.records.files import RECORDS, STORE_MARK
from remission.records.identity import FOLDER
from remission.records.path import PathCurve
from remission.records.record import FORMAT, Record
from remission.records.superseded import current, versions_in

_ANEW = "run the spec again, which computes it anew, or remove the file"
"""What to do about a damaged record."""


def read_record(file: Path, kind: str | None = None) -> Record:
    """The record in a file, whose name is its id.

    Args:
        file: where it is.
        kind: what it must be; None: any.

    Raises:
        StoreError: there is none, it is damaged, or it is another than its place says.
    """
    if file.is_dir():
        raise StoreError(
            f"'{file}' is a folder where a record belongs", "remove it, then run the spec again"
        )
    try:
        record = Record.from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"the record {file} cannot be read ({error})", "check its permissions"
        ) from error
    except ValueError as error:
        raise StoreError(
            f"the record {file} is damaged (not a record of format {FORMAT})", _ANEW
        ) from error
    if record.id != file.stem or kind not in (None, record.kind):
        raise StoreError(
            f"the record {file} is damaged (it is that of the {record.kind} {record.id})",
            "remove the file, then run the spec again",
        )
    return record


def read_records(folder: Path, *, superseded: bool = False) -> list[Record]:
    """All records below ``folder`` (a store, or a folder of records in git), by kind and label.

    Args:
        folder: where they are.
        superseded: also those of earlier versions of the code, see
            :mod:`remission.records.superseded`.

    Raises:
        StoreError: there is no such folder, no record in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise StoreError(
            f"there is no store at '{folder}'", "name a folder that `remission run` wrote"
        )
    is_store = (folder / STORE_MARK).exists() or (folder / RECORDS).is_dir()
    root = folder / RECORDS if is_store else folder
    files = sorted(root.rglob("*.json"))
    records = [read_record(file, file.parent.name if is_store else None) for file in files]
    if not records:
        raise StoreError(
            f"the folder '{folder}' holds no records", "run a spec into it first: remission run"
        )
    kept = records if superseded else current(records, versions_in(folder))
    return sorted(kept, key=lambda r: (r.kind, r.label, r.id))


def brief(value: Any) -> Any:  # noqa: ANN401 -- a JSON value of any kind
    """A JSON value for people: pictures in it, ``data:`` URIs, as their kind and a digest.

    ``png:1a2b3c4d`` is made of the whole URI: other pictures have other names.
    """
    if isinstance(value, dict):
        return {key: brief(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [brief(each) for each in value]
    if isinstance(value, str) and value.startswith("data:image/"):
        kind = value.removeprefix("data:image/").partition(";")[0]
        return f"{kind}:{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return value


def cells(records: Iterable[Record]) -> list[Cell]:
    """The measured models among ``records``."""
    return [record.cell for record in records if record.cell is not None]


def path_curves(records: Iterable[Record]) -> list[PathCurve]:
    """The walks in weight space among ``records``."""
    return [path for record in records for path in record.paths]


def folder_name(store: Path, digest: str) -> str | None:
    """What the records of a store call the image folder of a content; None: it is new there.

    Args:
        store: folder of the store; it need not exist.
        digest: of the content, as identities hold it.
    """
    for file in sorted((store / RECORDS / "victim").glob("*.json")):
        try:
            record = read_record(file)
        except StoreError:  # is said where records are read for their own sake
            continue
        context = record.settings.get("context", {})
        if record.cell and context.get("dataset") == FOLDER and context.get("data") == digest:
            return record.cell.dataset
    return None
