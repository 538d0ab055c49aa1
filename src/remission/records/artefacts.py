"""Reading the artefacts of records; each is compared with its checksum when it is read.

Links are followed, those of files and those of folders, since a store may be spread over several
disks. What a link leads to is used only if it has the checksum in the record.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from remission.errors import StoreError
from remission.records.files import DAMAGED
from remission.records.record import Artefact


class DamagedError(StoreError):
    """The file of an artefact is missing, or is not the one that its record describes."""


_ANEW = "run the spec again, which computes it anew"


def check_presence(folder: Path, artefact: Artefact, owner: str = "") -> None:
    """Checks that the file of an artefact is there and has the right size; does not read it.

    Args:
        folder: the store.
        artefact: an artefact of one of its records.
        owner: the label of that record, for errors.

    Raises:
        DamagedError: the file is missing, or has another size.
        StoreError: the folder cannot be read.
    """
    file = folder / artefact.file
    try:
        size = file.stat().st_size if file.is_file() else None
    except OSError as error:
        raise _unreadable(_name_of(artefact, owner), error) from error
    if size is None:
        raise DamagedError(f"{_name_of(artefact, owner)} is missing from the store", _ANEW)
    if size != artefact.bytes:
        raise DamagedError(
            f"{_name_of(artefact, owner)} is damaged ({size} bytes instead of {artefact.bytes})",
            _ANEW,
        )


def read_artefact(folder: Path, artefact: Artefact, owner: str = "") -> bytes:
    """Reads the content of an artefact once, and compares it with its checksum.

    Arguments as for :func:`check_presence`.

    Raises:
        DamagedError: the file is missing, or has another size or checksum.
        StoreError: it cannot be read.
    """
    check_presence(folder, artefact, owner)
    try:
        with (folder / artefact.file).open("rb") as stream:
            content = stream.read(artefact.bytes + 1)
    except OSError as error:
        raise _unreadable(_name_of(artefact, owner), error) from error
    if hashlib.sha256(content).hexdigest() != artefact.sha256:
        raise DamagedError(f"{_name_of(artefact, owner)} is damaged (wrong checksum)", _ANEW)
    return content


def set_aside(folder: Path, artefact: Artefact) -> None:
    """Renames a damaged artefact, so that the next run finds it missing and computes it anew.

    Nothing happens where the file is gone already.

    Raises:
        StoreError: it cannot be renamed.
    """
    file = folder / artefact.file
    try:
        with contextlib.suppress(FileNotFoundError):
            file.rename(file.with_name(file.name + DAMAGED))
    except OSError as error:
        raise StoreError(
            f"{_name_of(artefact)} is damaged (wrong checksum) and cannot be renamed "
            f"({error.strerror or error})",
            "remove it, then run the spec again, which computes it anew",
        ) from error


def _name_of(artefact: Artefact, owner: str = "") -> str:
    return f"the file {artefact.file}" + (f" of '{owner}'" if owner else "")


def _unreadable(name: str, error: OSError) -> StoreError:
    return StoreError(
        f"{name} cannot be read ({error.strerror or error})",
        "check its permissions and its disk; if it is lost, remove it and run the spec again, "
        "which computes it anew",
    )
