"""Brings a data set's files: from this computer, the system's package, or the public address.

Every file is verified before it is used, wherever it lies. A place whose files are missing or wrong
is skipped, and the error names it if no other place helps. This module imports no torch.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from remission.data.download import UnavailableError, download, unpack_package
from remission.data.source import Archive, File, Source, archive_in
from remission.disk import write_whole
from remission.errors import DataError

_CHUNK = 1 << 20
"""Bytes that are copied at a time."""
_log = logging.getLogger(__name__)

T = TypeVar("T")


def obtain(source: Source, *, fetch: bool = True) -> dict[str, bytes]:
    """Returns the verified, decompressed content of the files of ``source``, by file name.

    It looks in the cache, then where the system's package puts the files, and then, with ``fetch``,
    brings them into the cache.

    Raises:
        DataError: no place has them; the message lists all places and reasons.
    """
    return _obtain(source, read_verified, fetch)


def obtain_archives(source: Source, *, fetch: bool = True) -> dict[str, Path]:
    """Returns for each archive of ``source`` its verified file, or the folder it is unpacked in.

    It looks in the cache, and then, with ``fetch``, brings the archives there. An unpacked archive
    has no checksum: who reads it must notice what is missing.

    Raises:
        DataError: no place has them; the message lists all places and reasons.
    """
    return _obtain(source, find_archives, fetch)


def fetch_into_cache(source: Source) -> Path:
    """Brings verified files of ``source`` into its cache, and returns the cache's folder.

    Raises:
        DataError: no place has them, or the cache cannot be written.
    """
    reasons: list[str] = []
    for folder in source.local_folders():
        try:
            _verify(folder, source)
        except UnavailableError as error:
            _skip(folder, error, reasons)
        else:
            if folder != source.cache:
                _keep(folder, source)
            return source.cache
    _bring(source, reasons)
    return source.cache


def _obtain(source: Source, read: Callable[[Path, Source], T], fetch: bool) -> T:
    reasons: list[str] = []
    for folder in source.local_folders():
        try:
            return read(folder, source)
        except UnavailableError as error:
            _skip(folder, error, reasons)
    _ = source.cache  # without one the remedy is another
    if not fetch:
        raise DataError(
            f"data set '{source.name}' is not on this computer ({', then '.join(reasons)})",
            f"run: remission data fetch {source.name}",
        )
    _bring(source, reasons)
    try:
        return read(source.cache, source)
    except UnavailableError as error:  # somebody else changed it in this moment
        raise DataError(f"{source.cache}: {error}", "run again") from None


def _verify(folder: Path, source: Source) -> None:
    read_verified(folder, source)
    find_archives(folder, source)


def read_verified(folder: Path, source: Source) -> dict[str, bytes]:
    """Returns the decompressed content of the files of ``source`` in ``folder``, by file name.

    Raises:
        UnavailableError: a file is missing, damaged, or not the published one.
    """
    return {file.name: _content(folder / file.name, file) for file in source.files}


def _content(path: Path, file: File) -> bytes:
    try:
        with gzip.open(path) as stream:
            # One byte more than expected shows a longer file, and bounds what a hostile one costs.
            content = stream.read(file.size + 1)
    except FileNotFoundError:
        raise UnavailableError(f"{file.name} is not there") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UnavailableError(f"{file.name} cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UnavailableError(f"{file.name} has a wrong checksum")
    return content


def find_archives(folder: Path, source: Source) -> dict[str, Path]:
    """Returns for each archive of ``source`` its verified file in ``folder``, or the folder itself.

    Raises:
        UnavailableError: an archive is missing, or not the published one.
    """
    places = {}
    for archive in source.archives:
        place = archive_in(folder, archive)
        if place is None:
            for name in source.refused:
                if (folder / name).exists():
                    raise UnavailableError(
                        f"{name} holds pickles, which can run code when they are read, so that "
                        f"{archive.name} is needed"
                    )
            raise UnavailableError(f"{archive.name} is not there")
        if place != folder:
            _check_archive(place, archive)
        places[archive.name] = place
    return places


def _check_archive(path: Path, archive: Archive) -> None:
    """Compares size and checksum; the size says when a file is still being downloaded."""
    algorithm, _, wanted = archive.checksum.partition(":")
    try:
        size = path.stat().st_size
        if size != archive.size:
            raise UnavailableError(f"{archive.name} has {size} bytes instead of {archive.size}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(
                stream, lambda: hashlib.new(algorithm, usedforsecurity=False)
            )
    except OSError as error:
        raise UnavailableError(f"{archive.name} cannot be read: {error}") from None
    if digest.hexdigest() != wanted:
        raise UnavailableError(f"{archive.name} has a wrong checksum")


def _bring(source: Source, reasons: list[str]) -> None:
    """Tries the places outside this computer, and caches the files of the first good one."""
    cache = source.cache  # asked for first: without a cache nothing need be downloaded
    ways: list[tuple[str, Callable[[Source, Path], Path]]] = []
    if source.package is not None:
        ways.append((f"apt-get download {source.package}", unpack_package))
    if source.address is not None:
        ways.append((source.address, download))
    for place, way in ways:
        with tempfile.TemporaryDirectory(prefix="remission-") as scratch:
            try:
                folder = way(source, Path(scratch))
                _verify(folder, source)
            except UnavailableError as error:
                _skip(place, error, reasons)
            else:
                _keep(folder, source)
                return
    put = f"put {', '.join(source.names)} into {cache}"
    raise DataError(
        f"data set '{source.name}' was found nowhere ({', then '.join(reasons)})",
        f"install the package {source.package}, or {put}" if source.package else put,
    )


def _skip(place: Path | str, error: UnavailableError, reasons: list[str]) -> None:
    reasons.append(f"{place}: {error}")
    if "is not there" not in str(error):
        _log.warning("skipped %s: %s", place, error)


def _keep(folder: Path, source: Source) -> None:
    """Copies the files into the cache, each of them whole or not at all."""
    try:
        source.cache.mkdir(parents=True, exist_ok=True)
        for name in source.names:
            _copy_at_once(folder / name, source.cache / name)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache {source.cache}: {error.strerror or error}",
            "make room or set REMISSION_DATA to a folder that can be written",
        ) from None


def _copy_at_once(origin: Path, goal: Path) -> None:
    with origin.open("rb") as content:
        write_whole(goal, iter(lambda: content.read(_CHUNK), b""))
