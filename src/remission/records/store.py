"""The store: a folder of records and artefacts, each written whole or not at all.

``records/<kind>/<id>.json`` says what was measured; ``artefacts/<id>.<name>`` holds weights and
pictures. A record is written after its artefacts, so that a record that exists is complete.
No torch here: tables, reports and checks of the store need none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from remission.disk import PART, write_whole
from remission.errors import StoreError
from remission.records.artefacts import DamagedError, check_presence, read_artefact, set_aside
from remission.records.cell import Json
from remission.records.files import (
    ARTEFACTS,
    LITTER,
    PLANS,
    RECORDS,
    SPECS,
    STORE_MARK,
    VERSIONS_FILE,
    folders,
    spec_file_name,
)
from remission.records.reading import read_record
from remission.records.record import Artefact, Record
from remission.records.superseded import method_of, versions_in
from remission.records.unfinished import plan_text


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
            _check_links(folder)
            folder.mkdir(parents=True, exist_ok=True)
            # listed before the mark is looked for: another process may write it meanwhile
            others = [
                file
                for file in folder.iterdir()
                if not file.name.startswith((PART, "._")) and file.name not in LITTER
            ]
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

    def prepare(self, kinds: Iterable[str]) -> None:
        """Makes the folders that a run writes to: what it cannot write it learns at its start.

        Args:
            kinds: of the stages of the run.

        Raises:
            StoreError: a folder cannot be made, or may not be written to.
        """
        names = [ARTEFACTS, *(f"{RECORDS}/{kind}" for kind in sorted(set(kinds)))]
        for place in (self.folder / name for name in names):
            try:
                place.mkdir(parents=True, exist_ok=True)
                if not os.access(place, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            except OSError as error:
                raise _unwritable(place, error) from error

    def record_file(self, kind: str, identity: str) -> Path:
        """Where the record of a stage lies."""
        return self.folder / RECORDS / kind / f"{identity}.json"

    def find(self, kind: str, identity: str) -> Record | None:
        """The record of a finished stage whose artefacts are all there, else None.

        What failed, what is damaged and what lacks an artefact is computed again. Artefacts are
        looked at, not read: :meth:`read` compares each with its checksum when it is used.

        Raises:
            StoreError: a folder lies in its place, where no record can be written, or the folder of
                the artefacts cannot be read.
        """
        file = self.record_file(kind, identity)
        try:
            record = read_record(file, kind)
        except StoreError:
            if file.is_dir():
                raise
            return None
        if record.status != "done":
            return None
        try:
            for artefact in record.artefacts.values():
                check_presence(self.folder, artefact)
        except DamagedError:
            return None
        return record

    def read(self, record: Record, name: str) -> bytes:
        """The content of one of a record's artefacts, read once and compared with its checksum.

        A damaged file is set aside, so that the next run computes it anew.

        Raises:
            StoreError: the file is missing, damaged, or cannot be read.
        """
        artefact = record.artefacts[name]
        try:
            return read_artefact(self.folder, artefact, record.label)
        except DamagedError:
            set_aside(self.folder, artefact)
            raise

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
        self._write(self.folder / SPECS / f"{spec_file_name(name)}-{digest}.json", text.encode())

    def keep_plan(self, name: str, stages: Iterable[tuple[str, str]]) -> None:
        """Notes all stages of a spec by kind and identity: tables can say what is missing."""
        self._write(
            self.folder / PLANS / f"{spec_file_name(name)}.json", plan_text(name, stages).encode()
        )

    def keep_versions(self, stages: Iterable[tuple[str, Json]]) -> None:
        """Notes the versions of methods, as tables shall show them, from kinds and settings."""
        found = dict(filter(None, (method_of(kind, settings) for kind, settings in stages)))
        text = json.dumps({**versions_in(self.folder), **found}, indent=1, sort_keys=True)
        self._write(self.folder / VERSIONS_FILE, text.encode())

    def drop_parts(self) -> None:
        """Removes what this writer's processes left half written; none of them may be alive."""
        for folder in folders(self.folder):
            for file in folder.glob(f"{PART}{self.writer}-*"):
                file.unlink(missing_ok=True)

    def _write(self, file: Path, content: bytes) -> None:
        """Writes a file whole or not at all.

        Raises:
            StoreError: no space left, no permission, or another error of the disk.
        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, [content], writer=self.writer)
        except OSError as error:
            raise _unwritable(file, error) from error


def _check_links(folder: Path) -> None:
    """Refuses a store of which a folder is a link that leads nowhere, as to a disk that is absent.

    Raises:
        StoreError: the link is named.
        OSError: the store cannot be looked at.
    """
    places = [folder, *(folder / name for name in (RECORDS, ARTEFACTS, SPECS, PLANS))]
    if (folder / RECORDS).is_dir():
        places += (folder / RECORDS).iterdir()
    for place in places:
        if place.is_symlink() and not place.exists():
            raise StoreError(
                f"'{place}' is a link to '{place.readlink()}', which does not exist",
                "attach the disk that it leads to, or remove the link, and all that was behind it "
                "is computed anew",
            )


def _unwritable(file: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"no space left for '{file}'",
            "free some or name another place with --store, then run again: "
            "everything finished is kept",
        )
    return StoreError(
        f"'{file}' cannot be written ({error})",
        "check its permissions, then run again: everything finished is kept",
    )
