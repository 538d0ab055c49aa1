"""Where a store lies: a folder on this computer, or a place that fsspec reads.

``s3://bucket/name`` needs the extra ``remission[s3]``; credentials and the address of the server
come from the environment, as those of any AWS tool (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``).
``memory://name`` lives as long as its process.

A place is used like a :class:`pathlib.Path`. Whatever goes wrong is an :class:`OSError`.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from remission.disk import write_whole
from remission.errors import StoreError

StorePath = Path
"""A folder or file of a store. Behind a network it is a ``UPath``, which is used as a Path is."""

_AT_ONCE = 500
"""Files that are asked for in one go where they come over a network."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # another process may have written since: nothing that was listed before counts
    "s3": {
        "use_listings_cache": False,
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": 30,
            "retries": {"mode": "standard", "max_attempts": 4},
        },
    },
    "memory": {},
}


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_FIRST = {"s3": "bucket", "memory": "place"}
"""What follows the scheme of an address."""
CHECK_NETWORK = "check network, credentials (AWS_ACCESS_KEY_ID) and server (AWS_ENDPOINT_URL)"
"""What to do about a store behind a network that does not answer, or refuses."""


def place_of(where: StorePath | str) -> StorePath:
    """Returns the place of a store.

    Args:
        where: a folder, as path or ``file://`` address; or an ``s3://`` or ``memory://`` address.

    Raises:
        StoreError: the address is of another kind or names nothing, or a package for it is missing.
    """
    if not isinstance(where, str):
        return where
    scheme, mark, name = where.partition("://")
    scheme = scheme.lower()
    if not mark or not _SCHEME.fullmatch(scheme):
        return Path(where)
    if scheme == "file":
        return Path(name)
    if scheme not in _OPTIONS:
        raise StoreError(
            f"a store cannot lie at '{where}'", "name a folder, or an s3:// or memory:// address"
        )
    if not name.strip("/") or (scheme == "s3" and name.startswith("/")):
        raise StoreError(
            f"the address '{where}' of a store names no {_FIRST[scheme]}",
            f"write {scheme}://{_FIRST[scheme]}/name",
        )
    if scheme == "s3":
        if importlib.util.find_spec("s3fs") is None:
            raise StoreError(
                f"'{where}' needs a package that is not installed",
                "install it: pip install 'remission[s3]'",
            )
        from remission.records.s3 import register

        register()
    from upath import UPath

    place: Any = UPath(f"{scheme}://{name.rstrip('/')}", **_OPTIONS[scheme])
    return place  # type: ignore[no-any-return]


def is_local(place: StorePath) -> bool:
    """Returns whether a place is a folder or file on this computer."""
    return isinstance(place, Path)


def _remote(place: StorePath) -> Any:  # noqa: ANN401 -- of a class that only fsspec has
    """Returns a place behind a network with what a Path lacks: ``fs`` and ``path``."""
    return place


def is_shared(place: StorePath) -> bool:
    """Returns whether other processes see what is written here."""
    return is_local(place) or _remote(place).protocol != "memory"


def write(file: StorePath, content: bytes, *, writer: str = "") -> None:
    """Writes a file whole or not at all; one that has this name already is replaced.

    Args:
        file: folders above it are created.
        content: all of it.
        writer: becomes part of the name that the file has meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    if is_local(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, [content], writer=writer)
    else:
        _remote(file).fs.pipe_file(_remote(file).path, content)


def unwritable(file: StorePath, error: OSError) -> StoreError:
    """Returns the error that says why a file or folder cannot be written, and what to do."""
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


def no_store(where: StorePath | str) -> StoreError:
    """Returns the error that says that a place holds no store, and what to do."""
    return StoreError(f"there is no store at '{where}'", "name one that `remission run` made")


def create(file: StorePath, content: bytes) -> bool:
    """Writes a file that must not exist: of several processes one succeeds.

    For an instant the file may be seen empty.

    Returns:
        Whether this process did; False if the file exists.

    Raises:
        OSError: it cannot be written. Nothing is left of the attempt.
    """
    try:
        if is_local(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = file.open("xb", buffering=0)
            try:
                with stream:
                    if stream.write(content) != len(content):  # the rest finds no room
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
            except BaseException:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
                raise
        else:
            _remote(file).fs.pipe_file(_remote(file).path, content, mode="create")
    except FileExistsError:
        return False
    return True


def size_of(file: StorePath) -> int | None:
    """Returns the bytes of a plain file; None where there is none, or something else.

    Raises:
        OSError: the folder cannot be read.
    """
    if is_local(file):
        return file.stat().st_size if file.is_file() else None
    try:
        found = _remote(file).fs.info(_remote(file).path)
    except FileNotFoundError:
        return None
    return int(found["size"]) if found["type"] == "file" else None


def sizes_in(folder: StorePath) -> dict[str, int]:
    """Returns name -> bytes of the plain files in a folder; empty where there is no folder.

    Raises:
        OSError: it cannot be listed.
    """
    if is_local(folder):
        files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
        return {file.name: file.stat().st_size for file in files}
    try:
        listed = _remote(folder).fs.ls(_remote(folder).path, detail=True)
    except FileNotFoundError:
        return {}
    return {
        entry["name"].rpartition("/")[2]: int(entry["size"])
        for entry in listed
        if entry["type"] == "file"
    }


def read_all(folder: StorePath, names: Iterable[str]) -> dict[str, bytes]:
    """Reads many files of a folder; over a network many at once.

    Returns:
        Name -> content, without files that are gone.

    Raises:
        OSError: a file that is there cannot be read.
    """
    found = dict[str, bytes]()
    for name, content in attempts(folder, names).items():
        if isinstance(content, OSError):
            raise content
        found[name] = content
    return found


def attempts(folder: StorePath, names: Iterable[str]) -> dict[str, bytes | OSError]:
    """Reads many files of a folder; over a network many at once.

    Returns:
        Name -> content, or why it cannot be read; without files that are gone.
    """
    wanted, found = list(names), dict[str, bytes | OSError]()
    if is_local(folder):
        for name in wanted:
            try:
                found[name] = (folder / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                found[name] = error
        return found
    for start in range(0, len(wanted), _AT_ONCE):
        part = {_remote(folder / name).path: name for name in wanted[start : start + _AT_ONCE]}
        contents = _remote(folder).fs.cat(list(part), on_error="return")
        for path, content in contents.items():
            if isinstance(content, Exception) and not isinstance(content, OSError):
                raise content
            if not isinstance(content, FileNotFoundError):
                found[part[path]] = content
    return found


def unreadable(store: StorePath, error: OSError) -> StoreError:
    """Returns the error that says why a store cannot be read, and what to do."""
    return StoreError(
        f"the store '{store}' cannot be read ({error})",
        "check its permissions and its disk" if is_local(store) else CHECK_NETWORK,
    )
