"""The zip archives that torch.save writes. Entries are read where they lie, after all checks."""

from __future__ import annotations

import io
import mmap
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass

from remission.checkpoints.limits import ENTRIES, Budget, Refusal
from remission.checkpoints.machine import Content

_LOCAL = struct.Struct("<4s5H3I2H")
_SIZES_BEHIND = 0x0008
_ALLOWED = 0x0806 | _SIZES_BEHIND
"""Flags of an entry: names in UTF-8, speed of compression, sizes behind the content. All others
are for encryption and the like."""
_UTF8 = 0x0800
_IN_64_BITS = 0xFFFFFFFF  # the size is in another place
_DIRECTORY = 32 << 20  # bytes that are read at once; zipfile reads the directory so
_RATIO = 20  # of the bytes of compressed entries; weights compress by less than 2
_UNPACK = "unpack it, or give the file in it that torch.save wrote"
_SPARE = 16 << 20  # bytes that compressed entries of any file may have


@dataclass(frozen=True)
class Entry:
    """Where the content of an entry lies.

    Args:
        start: place in the file.
        packed: bytes in the file.
        size: bytes of the content. They differ where it is compressed.
        deflated: it is compressed.
    """

    start: int
    packed: int
    size: int
    deflated: bool


class CheckedArchive:
    """An archive that has passed all checks.

    Args:
        content: the file.
        budget: counts what is inflated.

    Raises:
        Refusal: it is no archive that torch.save or a common packer could have written.
    """

    def __init__(self, content: mmap.mmap, budget: Budget) -> None:
        self.content = content
        self.budget = budget
        try:
            with zipfile.ZipFile(_Bounded(content)) as packed:
                infos, directory = packed.infolist(), packed.start_dir
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise Refusal(f"is no whole zip archive ({error})") from None
        if len(infos) > ENTRIES:
            raise Refusal(f"has more than {ENTRIES} entries")
        self._check_places(infos, directory)
        self._check_sizes(infos)
        self.entries = self._by_name([info for info in infos if not info.is_dir()])

    def read(self, name: str) -> tuple[Content, int, int]:
        """Returns what holds the content of an entry, where it begins and where it ends.

        Raises:
            Refusal: the archive has no such entry, or cannot be inflated.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise Refusal(f"has no entry {name[:100]!r}")
        if not entry.deflated:
            return self.content, entry.start, entry.start + entry.size
        self.budget.memory(entry.size)
        packed = self.content[entry.start : entry.start + entry.packed]
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            inflated = inflating.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise Refusal(f"has an entry {name[:100]!r} that is damaged ({error})") from None
        if len(inflated) != entry.size or not inflating.eof:
            raise Refusal(f"has an entry {name[:100]!r} of another size than its directory says")
        return inflated, 0, entry.size

    def _check_places(self, infos: list[zipfile.ZipInfo], directory: int) -> None:
        """Refuses entries that overlap or are not where the directory says."""
        end = 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            if end == 0 and info.header_offset != 0:
                raise Refusal("has bytes in front of its first entry")
            if info.header_offset < end:
                raise Refusal("has entries that overlap")
            end = self._start(info, directory) + info.compress_size
            if end > directory:
                raise Refusal("has an entry that is longer than the file")

    def _check_sizes(self, infos: list[zipfile.ZipInfo]) -> None:
        """Refuses compression by more than weights and images can be compressed."""
        deflated = [info for info in infos if info.compress_type == zipfile.ZIP_DEFLATED]
        packed = sum(info.compress_size for info in deflated)
        if sum(info.file_size for info in deflated) > _RATIO * packed + _SPARE:
            raise Refusal(f"unpacks to more than {_RATIO} times its size", "pack it uncompressed")

    def _start(self, info: zipfile.ZipInfo, directory: int) -> int:
        """Returns where the content of an entry begins, by its own header."""
        name = info.orig_filename[:100]
        if info.header_offset + _LOCAL.size > directory:
            raise Refusal(f"has an entry {name!r} behind its directory")
        mark, *numbers = _LOCAL.unpack_from(self.content, info.header_offset)
        _, flags, method, _, _, _, packed, size, name_size, extra = map(int, numbers)
        behind = info.header_offset + _LOCAL.size
        spelled = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        if (mark, self.content[behind : behind + name_size]) != (b"PK\3\4", spelled):
            raise Refusal(f"has an entry {name!r} that is not where its directory says")
        if (info.flag_bits | flags) & ~_ALLOWED:
            raise Refusal(f"has an entry {name!r} that is encrypted or has unknown flags")
        if method != info.compress_type or method not in (0, zipfile.ZIP_DEFLATED):
            raise Refusal(f"has an entry {name!r} that is compressed in an unknown way")
        if method == 0 and info.file_size != info.compress_size:
            raise Refusal(f"has an entry {name!r} with two different sizes")
        for own, other in ((packed, info.compress_size), (size, info.file_size)):
            unknown = (0, _IN_64_BITS) if flags & _SIZES_BEHIND else (_IN_64_BITS,)
            if own != other and own not in unknown:
                raise Refusal(f"has an entry {name!r} of another size than its directory says")
        return behind + name_size + extra

    def _by_name(self, infos: list[zipfile.ZipInfo]) -> dict[str, Entry]:
        """Returns the entries without the folder that all of them are in."""
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if not _is_plain(info.orig_filename) or kind not in (0, stat.S_IFREG):
                raise Refusal(f"has an entry {info.orig_filename[:100]!r} that is no plain file")
        parts = [info.orig_filename.partition("/") for info in infos]
        if len({folder for folder, _, _ in parts}) > 1 or not all(slash for _, slash, _ in parts):
            raise Refusal("is a zip archive, but none that torch.save wrote", _UNPACK)
        entries: dict[str, Entry] = {}
        for info, (_, _, name) in zip(infos, parts, strict=True):
            if name in entries:
                raise Refusal(f"has two entries {name[:100]!r}")
            entries[name] = Entry(
                self._start(info, len(self.content)),
                info.compress_size,
                info.file_size,
                info.compress_type == zipfile.ZIP_DEFLATED,
            )
        return entries


def _is_plain(name: str) -> bool:
    """Tells whether a name leads to a file inside of the archive."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)


class _Bounded(io.RawIOBase):
    """The file as zipfile reads it: never much at once, so that a directory cannot fill memory."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        start = self._position
        self._position = len(self._content) if count < 0 else start + count
        if min(self._position, len(self._content)) - start > _DIRECTORY:
            raise Refusal("has a directory that is too large")
        return self._content[start : self._position]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._content)}
        if base[whence] + offset < 0:
            raise OSError("a place in front of the file")
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
