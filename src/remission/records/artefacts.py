"""Reading the artefacts of records; each is compared with its checksum when it is read.

Links are followed, those of files and those of folders, since a store may be spread over several
disks. What a link leads to is used only if it has the checksum in the record.
Artefacts that lie behind a network are read once per computer, see
:mod:`remission.records.artefact_cache`.
"""

from __future__ import annotations

import contextlib
import hashlib

from remission.errors import StoreError
from remission.records.artefact_cache import cached, put_into_cache
from remission.records.files import DAMAGED
from remission.records.places import StorePath, is_local, size_of
from remission.records.record import Artefact


class DamagedError(StoreError):
    """The file of an artefact is missing, or is not the one that its record describes."""


_ANEW = "run the spec again, which computes it anew"


def check_presence(folder: StorePath, artefact: Artefact, owner: str = "") -> None:
    """Checks that the file of an artefact is there and has the right size; does not read it.

    Args:
        folder: the store.
        artefact: an artefact of one of its records.
        owner: the label of that record, for errors.

    Raises:
        DamagedError: the file is missing, or has another size.
        StoreError: the folder cannot be read.
    """
    try:
        size = size_of(folder / artefact.file)
    except OSError as error:
        raise _unreadable(_name_of(artefact, owner), error) from error
    check_size(artefact, size, owner)


def check_size(artefact: Artefact, size: int | None, owner: str = "") -> None:
    """Checks the size of an artefact's file.

    Args:
        artefact: an artefact of a record.
        size: of its file, in bytes; None: there is no plain file.
        owner: the label of that record, for errors.

    Raises:
        DamagedError: the file is missing, or has another size.
    """
    if size is None:
        raise DamagedError(f"{_name_of(artefact, owner)} is missing from the store", _ANEW)
    if size != artefact.bytes:
        raise DamagedError(
            f"{_name_of(artefact, owner)} is damaged ({size} bytes instead of {artefact.bytes})",
            _ANEW,
        )


def read_artefact(folder: StorePath, artefact: Artefact, owner: str = "") -> bytes:
    """Returns the content of an artefact, which is read once and compared with its checksum.

    Arguments as for :func:`check_presence`.

    Raises:
        DamagedError: the file is missing, or has another size or checksum.
        StoreError: it cannot be read.
    """
    if is_local(folder):
        return read_stored(folder, artefact, owner)
    if (content := cached(artefact.sha256)) is None:
        content = read_stored(folder, artefact, owner)
        put_into_cache(artefact.sha256, content)
    return content


def read_stored(folder: StorePath, artefact: Artefact, owner: str = "") -> bytes:
    """Returns what :func:`read_artefact` does, from the store itself and never from a copy."""
    file = folder / artefact.file
    check_presence(folder, artefact, owner)
    try:
        if is_local(file):
            with file.open("rb") as stream:
                content: bytes = stream.read(artefact.bytes + 1)
        else:
            content = file.read_bytes()
    except OSError as error:
        raise _unreadable(_name_of(artefact, owner), error) from error
    if hashlib.sha256(content).hexdigest() != artefact.sha256:
        raise DamagedError(f"{_name_of(artefact, owner)} is damaged (wrong checksum)", _ANEW)
    return content


def set_aside(folder: StorePath, artefact: Artefact) -> None:
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
        "check its permissions and its disk (behind a network: network, credentials and server); "
        "if it is lost, remove it and run the spec again, which computes it anew",
    )
