"""The members of an archive, which are read in place by their exact names; nothing is extracted.

No name in an archive is ever used as a path. An archive that somebody can only have built to do
harm (members outside of it, links, more bytes than published) is refused as a whole. This module
imports no torch.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from remission.data.source import Archive, Source
from remission.errors import DataError

_CHUNK = 1 << 20


class Members(Protocol):
    """The files inside an archive, by their names."""

    def read(self, name: str, limit: int) -> bytes:
        """Returns the content of a member.

        Raises:
            DataError: no member has that name, or it has more than ``limit`` bytes, or is damaged.
        """

    def bad(self, problem: str) -> DataError:
        """Returns the error to raise about the archive: ``problem``, and what to do."""


def open_archive(place: Path, archive: Archive, source: Source) -> Members:
    """Opens an archive and returns its members.

    Args:
        place: its file, or the folder in which it was unpacked.
        archive: the published one.
        source: the data set, for messages.

    Raises:
        DataError: it is damaged, or not the published one.
    """
    if place.is_dir():
        return _Folder(place, archive)
    remedy = f"delete it and run: remission data fetch {source.name}"
    kind = _Zip if archive.name.endswith(".zip") else _Tar
    return kind(place, archive.limit, remedy)


class _Folder:
    """An archive that the user has unpacked."""

    def __init__(self, folder: Path, archive: Archive) -> None:
        self.folder, self.archive = folder, archive

    def read(self, name: str, limit: int) -> bytes:
        try:
            with (self.folder / name).open("rb") as stream:
                content = stream.read(limit + 1)
        except FileNotFoundError:
            raise self.bad(f"has no {name}") from None
        except OSError as error:
            raise self.bad(f"has a {name} that cannot be read: {error.strerror}") from None
        if len(content) > limit:
            raise self.bad(f"has a {name} of more than {limit} bytes")
        return content

    def bad(self, problem: str) -> DataError:
        return DataError(f"{self.folder} {problem}", f"unpack {self.archive.name} there again")


class _Packed:
    """The checks that both kinds of archive files share."""

    def __init__(self, path: Path, limit: int, remedy: str) -> None:
        self.path, self.limit, self.remedy = path, limit, remedy

    def bad(self, problem: str) -> DataError:
        return DataError(f"{self.path} {problem}", self.remedy)

    def check_name(self, name: str) -> None:
        """Refuses names that would lead out of a folder."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise self.bad(f"has a member {name!r}, outside of itself")

    def check_total(self, total: int) -> None:
        """Refuses more bytes than were published."""
        if total > self.limit:
            raise self.bad(f"unpacks to more than {self.limit} bytes")


class _Zip(_Packed):
    def __init__(self, path: Path, limit: int, remedy: str) -> None:
        super().__init__(path, limit, remedy)
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise self.bad(f"cannot be read: {error}") from None
        entries = self.zip.infolist()
        self.check_total(sum(entry.file_size for entry in entries))
        for entry in entries:
            self.check_name(entry.filename)
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise self.bad(f"has a member {entry.filename!r} that is a link or a device")
        if len(self.zip.NameToInfo) != len(entries):
            raise self.bad("has two members of the same name")

    def read(self, name: str, limit: int) -> bytes:
        try:
            with self.zip.open(name) as stream:
                content = stream.read(limit + 1)
                if len(content) <= limit:
                    content += stream.read(1)  # zipfile compares the checksum at the end only
        except KeyError:
            raise self.bad(f"has no {name}") from None
        # RuntimeError: it is encrypted.
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            zlib.error,
            lzma.LZMAError,
            RuntimeError,
        ) as error:
            raise self.bad(f"has a damaged {name}: {error}") from None
        if len(content) > limit:
            raise self.bad(f"has a {name} of more than {limit} bytes")
        return content


class _Tar(_Packed):
    """A compressed tar archive. It can be read from its beginning only, so it is read whole."""

    def __init__(self, path: Path, limit: int, remedy: str) -> None:
        super().__init__(path, limit, remedy)
        self.contents: dict[str, bytes] = {}
        try:
            with gzip.open(path) as stream:
                bounded = io.BytesIO()
                # The total counts a few blocks per member too. A bomb is not unpacked to its end.
                while chunk := stream.read(_CHUNK):
                    bounded.write(chunk)
                    self.check_total(bounded.tell())
            bounded.seek(0)
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                for member in tar:
                    self._add(tar, member)
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise self.bad(f"cannot be read: {error}") from None

    def _add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self.check_name(member.name)
        if member.isdir():
            return
        stream = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if stream is None:
            raise self.bad(f"has a member {member.name!r} that is a link or a device")
        if member.name in self.contents:
            raise self.bad("has two members of the same name")
        self.contents[member.name] = stream.read()

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.contents:
            raise self.bad(f"has no {name}")
        if len(self.contents[name]) > limit:
            raise self.bad(f"has a {name} of more than {limit} bytes")
        return self.contents[name]
