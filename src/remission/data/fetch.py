"""Bring a data set's files: from this computer, the system's package, or the public address.

Every file that is used is verified first, wherever it lies. A place whose files are missing or
wrong is skipped, and named if nothing else helps. No torch here.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from remission.data.remote import UnavailableError, download, unpack_package
from remission.data.sources import File, Source
from remission.errors import DataError

_log = logging.getLogger(__name__)


def obtain(source: Source, *, fetch: bool = True) -> dict[str, bytes]:
    """The verified, decompressed content of the files of ``source``, by file name.

    Looks in the cache, then where the system's package puts the files, and then, with ``fetch``,
    brings them into the cache.

    Raises:
        DataError: no place has them; each is listed with the reason.
    """
    reasons: list[str] = []
    for folder in source.local_folders():
        try:
            return read_verified(folder, source)
        except UnavailableError as error:
            _skip(folder, error, reasons)
    if not fetch:
        raise DataError(
            f"data set '{source.name}' is not on this computer ({', then '.join(reasons)})",
            f"run: remission data fetch {source.name}",
        )
    return _bring(source, reasons)


def fetch_into_cache(source: Source) -> Path:
    """Makes sure that the cache holds verified files of ``source``; returns the cache's folder.

    Raises:
        DataError: no place has them, or the cache cannot be written.
    """
    reasons: list[str] = []
    for folder in source.local_folders():
        try:
            read_verified(folder, source)
        except UnavailableError as error:
            _skip(folder, error, reasons)
        else:
            if folder != source.cache:
                _keep(folder, source)
            return source.cache
    _bring(source, reasons)
    return source.cache


def read_verified(folder: Path, source: Source) -> dict[str, bytes]:
    """The decompressed content of the files of ``source`` in ``folder``, by file name.

    Raises:
        UnavailableError: a file is missing, damaged, or not the published one.
    """
    return {file.name: _content(folder / file.name, file) for file in source.files}


def _content(path: Path, file: File) -> bytes:
    try:
        with gzip.open(path) as stream:
            # One byte more than expected tells a longer file, and bounds what a hostile one costs.
            content = stream.read(file.size + 1)
    except FileNotFoundError:
        raise UnavailableError(f"{file.name} is not there") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UnavailableError(f"{file.name} cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UnavailableError(f"{file.name} has a wrong checksum")
    return content


def _bring(source: Source, reasons: list[str]) -> dict[str, bytes]:
    """Tries the places outside this computer, and keeps what the first good one gives."""
    ways: list[tuple[str, Callable[[Source, Path], Path]]] = []
    if source.package is not None:
        ways.append((f"apt-get download {source.package}", unpack_package))
    if source.address is not None:
        ways.append((source.address, download))
    for place, way in ways:
        with tempfile.TemporaryDirectory(prefix="remission-") as scratch:
            try:
                folder = way(source, Path(scratch))
                contents = read_verified(folder, source)
            except UnavailableError as error:
                _skip(place, error, reasons)
            else:
                _keep(folder, source)
                return contents
    names = ", ".join(file.name for file in source.files)
    raise DataError(
        f"data set '{source.name}' was found nowhere ({', then '.join(reasons)})",
        f"install the package {source.package}, or put {names} into {source.cache}",
    )


def _skip(place: Path | str, error: UnavailableError, reasons: list[str]) -> None:
    reasons.append(f"{place}: {error}")
    if "is not there" not in str(error):
        _log.warning("skipped %s: %s", place, error)


def _keep(folder: Path, source: Source) -> None:
    """Copies the files into the cache, each at once or not at all."""
    try:
        source.cache.mkdir(parents=True, exist_ok=True)
        for file in source.files:
            _copy_at_once(folder / file.name, source.cache / file.name)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache {source.cache}: {error.strerror or error}",
            "make room or set REMISSION_DATA to a folder that can be written",
        ) from None


def _copy_at_once(origin: Path, goal: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{goal.name}.", dir=goal.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(origin.read_bytes())
        part.chmod(0o644)  # mkstemp gives 0600; a cache may be shared
        part.replace(goal)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
