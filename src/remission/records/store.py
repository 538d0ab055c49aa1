"""The store: a place of records and artefacts, each written whole or not at all.

``records/<kind>/<id>.json`` says what was measured; ``artefacts/<id>.<name>`` holds weights and
pictures. A record is written after its artefacts, so that a record that exists is complete. The
store is a folder or lies behind a network, see :mod:`remission.records.places`. In a folder, a link
in place of the store, of one of its folders or of a file is followed.
No torch here: tables, reports and checks of the store need none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from remission.disk import PART
from remission.errors import StoreError
from remission.records.artefacts import (
    DamagedError,
    check_presence,
    read_artefact,
    set_aside,
)
from remission.records.cell import Json
from remission.records.contents import Contents
from remission.records.files import (
    ARTEFACTS,
    LITTER,
    PLANS,
    RECORDS,
    SPECS,
    STORE_MARK,
    VERSIONS_FILE,
    folders,
    plan_file_names,
    spec_file_name,
)
from remission.records.lookup import finished_behind_network
from remission.records.mark import MARK, check_links, check_mark, check_still_there
from remission.records.places import (
    CHECK_NETWORK,
    StorePath,
    is_local,
    place_of,
    unreadable,
    unwritable,
    write,
)
from remission.records.plans import drop_older_plan, plan_text
from remission.records.reading import read_record
from remission.records.record import Artefact, Record
from remission.records.sealing import sealed, sealed_json
from remission.records.superseded import method_of
from remission.records.versions import versions_to_keep


class Store:
    """A place of records and artefacts.

    Args:
        folder: the store, as :func:`remission.records.places.place_of` takes it; it is created if
            it is missing, and refused if it holds other files.
        writer: the name that all processes of one run share, see :meth:`drop_parts`.
        create: whether it is created if it is missing.
        memory: bytes of artefacts that stay in memory when they were read, those used last.

    Raises:
        StoreError: the folder cannot be made, or is no store.
    """

    def __init__(
        self,
        folder: StorePath | str,
        writer: str | None = None,
        *,
        create: bool = True,
        memory: int = 0,
    ) -> None:
        self.folder = folder = place_of(folder)
        self.writer = writer or uuid.uuid4().hex
        self._contents = Contents(memory)
        if not create:
            check_still_there(folder)
        mark = folder / STORE_MARK
        try:
            if is_local(folder):
                check_links(folder)
                folder.mkdir(parents=True, exist_ok=True)
            # The folder is listed before the mark is looked for, as another process may be making
            # the same store: then the mark appears first, and everything else afterwards.
            others = [
                file
                for file in (folder.iterdir() if folder.is_dir() else ())
                if not file.name.startswith((PART, "._")) and file.name not in LITTER
            ]
            if not mark.exists():
                if others:
                    raise StoreError(
                        f"the folder '{folder}' is not empty and no store",
                        "name a new folder, or one that `remission run` made",
                    )
                self._put(mark, MARK.encode())
            check_mark(folder)
        except (OSError, ValueError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"the store '{folder}' cannot be opened ({error})",
                "name a folder that you may write to with --store"
                if is_local(folder)
                else CHECK_NETWORK,
            ) from error

    def prepare(self, kinds: Iterable[str]) -> None:
        """Creates the folders that a run writes to, so that it fails before it computes anything.

        Args:
            kinds: the kinds of its stages.

        Raises:
            StoreError: a folder cannot be made, or may not be written to.
        """
        names = [ARTEFACTS, *(f"{RECORDS}/{kind}" for kind in sorted(set(kinds)))]
        if not is_local(self.folder):
            return
        for place in (self.folder / name for name in names):
            try:
                place.mkdir(parents=True, exist_ok=True)
                if not os.access(place, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            except OSError as error:
                raise unwritable(place, error) from error

    def record_file(self, kind: str, identity: str) -> StorePath:
        """Returns the file of the record of a stage, whether it exists or not."""
        return self.folder / RECORDS / kind / f"{identity}.json"

    def find(self, kind: str, identity: str) -> Record | None:
        """Returns the record of a finished stage whose artefacts are all there, else None.

        None means that the stage must be computed: its record is missing, damaged or says that it
        failed, or an artefact is missing. Artefacts are not read here; :meth:`read` compares each
        with its checksum when it is used.

        Raises:
            StoreError: a folder lies in the record's place, so that no record can be written there,
                or the folder of the artefacts cannot be read.
        """
        file = self.record_file(kind, identity)
        try:
            record = read_record(file, kind)
        except StoreError:
            if is_local(file) and file.is_dir():
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

    def failure(self, kind: str, identity: str) -> Record | None:
        """Returns the record that says why a stage has no result; None where there is none."""
        try:
            record = read_record(self.record_file(kind, identity), kind)
        except StoreError:
            return None
        return record if record.status == "failed" else None

    def finished(self, stages: Iterable[tuple[str, str]]) -> dict[str, Record]:
        """Returns the records of those stages that are finished, as :meth:`find` does.

        Behind a network they are read many at once.

        Args:
            stages: (kind, identity) of each.

        Returns:
            Identity -> record.

        Raises:
            StoreError: as for :meth:`find`.
        """
        if is_local(self.folder):
            found = ((identity, self.find(kind, identity)) for kind, identity in stages)
            return {identity: record for identity, record in found if record}
        return finished_behind_network(self.folder, stages)

    def read(self, record: Record, name: str) -> bytes:
        """Reads one of a record's artefacts once, and compares it with its checksum.

        A damaged file is set aside, so that the next run computes it anew.

        Args:
            record: from :meth:`find`.
            name: the name of the artefact, a key of ``record.artefacts``.

        Raises:
            StoreError: the file is missing, damaged, or cannot be read.
        """
        artefact = record.artefacts[name]
        try:
            read = partial(read_artefact, self.folder, artefact, record.label)
            return self._contents.of(artefact.sha256, read)
        except DamagedError:
            set_aside(self.folder, artefact)
            raise

    def keep_artefacts(self, identity: str, contents: dict[str, bytes]) -> dict[str, Artefact]:
        """Writes the artefacts of a record that is to be written next.

        Args:
            identity: the identity of the record.
            contents: name of a file, with its ending -> content of the file.

        Returns:
            Name without the ending -> artefact, as the record is to hold them.

        Raises:
            StoreError: one of them cannot be written.
        """
        artefacts = {}
        for name, content in contents.items():
            file = Path(ARTEFACTS) / f"{identity}.{name}"
            self._write(self.folder / file, content)
            digest = hashlib.sha256(content).hexdigest()
            artefacts[name.partition(".")[0]] = Artefact(
                file=file.as_posix(), sha256=digest, bytes=len(content)
            )
        return artefacts

    def keep(self, record: Record) -> None:
        """Writes a record, whose artefacts must lie in the store already.

        Raises:
            StoreError: it cannot be written.
        """
        text = sealed(record.to_json())
        self._write(self.record_file(record.kind, record.id), text.encode())

    def keep_spec(self, name: str, text: str) -> None:
        """Writes the text of a spec that is run into this store."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        self._write(self.folder / SPECS / f"{spec_file_name(name)}-{digest}.json", text.encode())

    def keep_plan(self, name: str, stages: Iterable[tuple[str, str]]) -> None:
        """Writes down all stages of a spec, so that tables can say what is missing.

        Args:
            name: the name of the spec.
            stages: (kind, identity) of each.
        """
        file = self.folder / PLANS / plan_file_names(name)[0]
        self._write(file, plan_text(name, stages).encode())
        drop_older_plan(self.folder, name)

    def keep_versions(self, stages: Iterable[tuple[str, Json]]) -> None:
        """Writes down which versions of methods tables are to show.

        Args:
            stages: (kind, settings) of each stage of a run.

        Raises:
            StoreError: the store cannot be read or written.
        """
        versions = dict(filter(None, (method_of(kind, settings) for kind, settings in stages)))
        try:
            earlier = versions_to_keep(self.folder)
        except OSError as error:
            raise unreadable(self.folder, error) from error
        text = sealed_json(dict(sorted({**earlier, **versions}.items())))
        self._write(self.folder / VERSIONS_FILE, text.encode())

    def drop_parts(self) -> None:
        """Removes unfinished files of this writer's processes, none of which may be alive."""
        for folder in folders(self.folder) if is_local(self.folder) else ():
            for file in folder.glob(f"{PART}{self.writer}-*"):
                file.unlink(missing_ok=True)

    def _write(self, file: StorePath, content: bytes) -> None:
        """Writes a file whole or not at all.

        Raises:
            StoreError: no space left, no permission, or another error of the disk.
        """
        check_still_there(self.folder)
        self._put(file, content)

    def _put(self, file: StorePath, content: bytes) -> None:
        try:
            write(file, content, writer=self.writer)
        except OSError as error:
            raise unwritable(file, error) from error
