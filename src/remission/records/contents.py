"""Contents of files that stay in memory, so that what several stages need is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class Contents:
    """The contents that were used last, by checksum.

    Args:
        most: bytes of all of them together; a content that alone has more is not kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept = OrderedDict[str, bytes]()

    def of(self, checksum: str, read: Callable[[], bytes]) -> bytes:
        """Returns the content with a checksum, by ``read`` if it is not in memory.

        Args:
            checksum: SHA-256 of the content.
            read: reads it, and compares it with the checksum.
        """
        if checksum in self._kept:
            self._kept.move_to_end(checksum)
            return self._kept[checksum]
        content = read()
        if len(content) <= self.most:
            self._kept[checksum] = content
            while sum(map(len, self._kept.values())) > self.most:
                self._kept.popitem(last=False)
        return content
