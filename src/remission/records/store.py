"""The store: a folder of records and artefacts, each written whole or not at all.

``records/<kind>/<id>.json`` says what was measured; ``artefacts/<id>.<name>`` holds weights and
pictures. A record is written after its artefacts, so that a record that exists is complete.
No torch here: tables, reports and checks of the store need none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from remission.errors import StoreError
from remission.records.cell import Json
from remission.records.files import ARTEFACTS, PLANS, RECORDS, SPECS, STORE_MARK, VERSIONS_FILE
from remission.records.reading import read_record
from remission.records.record import Artefact, Record
from remission.records.superseded import method_of, versions_in
from remission.records.unfinished import plan_text

UNTOUCHED = 3600.0
"""Seconds after which no run still writes a file, or the record of an artefact."""
_PART = ".part-"
"""How the name of a file begins while it is written."""
_ARTEFACT = re.compile(r"[0-9a-f]{16}\.[a-z_]+\.(safetensors|png)")


class Store:
    """A folder that keeps what was computed.

    Args:
        folder: made if missing; refused if it holds something else.
        writer: a name in common for all processes of one run, see :meth:`drop_parts`.

    Raises:
        StoreError: the folder cannot be made, or is no store.
    """

    def __init__(self, folder: Path, writer: str | None = None) -> None:
        self.folder = folder
        self.writer = writer or uuid.uuid4().hex
        mark = folder / STORE_MARK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # listed before the mark is looked for: another process may write it meanwhile
            others = [file for file in folder.iterdir() if not file.name.startswith(_PART)]
            if not mark.exists():
                if others:
                    raise StoreError(
                        f"the folder '{folder}' is not empty and no store",
                        "name a new folder, or one that `remission run` made",
                    )
                self._write(mark, json.dumps({"format": 1}).encode())
            if json.loads(mark.read_text(encoding="utf-8")) != {"format": 1}:
                raise StoreError(
                    f"the store '{folder}' was made by a newer remission", "update remission"
                )
        except (OSError, ValueError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"the store '{folder}' cannot be opened ({error})",
                "name a folder that you may write to with --store",
            ) from error

    def record_file(self, kind: str, identity: str) -> Path:
        """Where the record of a stage lies."""
        return self.folder / RECORDS / kind / f"{identity}.json"

    def find(self, kind: str, identity: str) -> Record | None:
        """The record of a finished stage whose artefacts are whole, else None.

        A failed or damaged one counts as absent: it is computed again.

        Raises:
            StoreError: a folder lies in its place, where no record can be written.
        """
        file = self.record_file(kind, identity)
        try:
            record = read_record(file, kind)
        except StoreError:
            if file.is_dir():
                raise
            return None
        if record.status != "done" or any(self.damage(a) for a in record.artefacts.values()):
            return None
        return record

    def damage(self, artefact: Artefact) -> str | None:
        """What is wrong with an artefact's file, or None."""
        file = self.folder / artefact.file
        try:
            if file.is_symlink() or file.parent.is_symlink() or not file.is_file():
                return "missing, or no file of its own"
            if (size := file.stat().st_size) != artefact.bytes:
                return f"{size} bytes instead of {artefact.bytes}"
            content = file.read_bytes()
        except OSError:
            return "cannot be read"
        if hashlib.sha256(content).hexdigest() != artefact.sha256:
            return "wrong checksum"
        return None

    def file(self, record: Record, name: str) -> Path:
        """The file of one of a record's artefacts."""
        return self.folder / record.artefacts[name].file

    def keep_artefacts(self, identity: str, contents: dict[str, bytes]) -> dict[str, Artefact]:
        """Writes artefacts, name -> bytes; the names are file names with their endings."""
        kept = {}
        for name, content in contents.items():
            file = Path(ARTEFACTS) / f"{identity}.{name}"
            self._write(self.folder / file, content)
            digest = hashlib.sha256(content).hexdigest()
            kept[name.partition(".")[0]] = Artefact(
                file=file.as_posix(), sha256=digest, bytes=len(content)
            )
        return kept

    def keep(self, record: Record) -> None:
        """Writes a record; its artefacts must lie in the store already."""
        self._write(self.record_file(record.kind, record.id), record.to_json().encode())

    def keep_spec(self, name: str, text: str) -> None:
        """Keeps the text of a spec that was run into this store."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        self._write(self.folder / SPECS / f"{_safe(name)}-{digest}.json", text.encode())

    def keep_plan(self, name: str, stages: Iterable[tuple[str, str]]) -> None:
        """Notes all stages of a spec by kind and identity: tables can say what is missing."""
        self._write(self.folder / PLANS / f"{_safe(name)}.json", plan_text(name, stages).encode())

    def keep_versions(self, stages: Iterable[tuple[str, Json]]) -> None:
        """Notes the versions of methods, as tables shall show them, from kinds and settings."""
        found = dict(filter(None, (method_of(kind, settings) for kind, settings in stages)))
        text = json.dumps({**versions_in(self.folder), **found}, indent=1, sort_keys=True)
        self._write(self.folder / VERSIONS_FILE, text.encode())

    def drop_parts(self) -> None:
        """Removes what this writer's processes left half written; none of them may be alive."""
        for file in self.folder.rglob(f"{_PART}{self.writer}-*"):
            file.unlink(missing_ok=True)

    def _write(self, file: Path, content: bytes) -> None:
        """Writes a file whole or not at all.

        Raises:
            StoreError: no space left, no permission, or another error of the disk.
        """
        temporary = file.parent / f"{_PART}{self.writer}-{uuid.uuid4().hex}"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise StoreError(
                f"no space left for '{file}'" if full else f"'{file}' cannot be written ({error})",
                "free some or name another place with --store, then run again: "
                "everything finished is kept"
                if full
                else "check its permissions, then run again: everything finished is kept",
            ) from error


def damaged(store: Store, records: Iterable[Record]) -> list[tuple[Record, str]]:
    """The finished records with an artefact that is missing or damaged, and what is wrong."""
    return [
        (record, f"{artefact.file}: {wrong}")
        for record in records
        for artefact in record.artefacts.values()
        if (wrong := store.damage(artefact))
    ]


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
            file.name.startswith(_PART)
            or (file.parent == artefacts and _ARTEFACT.fullmatch(file.name))
        )
    )


def young(file: Path) -> bool:
    """Whether a run may be at work on a file that no record names: it writes the record last."""
    return time.time() - file.stat().st_mtime < UNTOUCHED


def _safe(name: str) -> str:
    """A spec's name as that of a file."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)


def _own(folder: Path, store: Path) -> bool:
    """Whether a folder really lies where its path says."""
    return folder.resolve() == store.resolve() / folder.relative_to(store)
