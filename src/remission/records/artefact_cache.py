"""Copies of artefacts that lie behind a network, on this computer, named by their checksum.

They lie in ``$REMISSION_ARTEFACTS``, or else in ``~/.cache/remission/artefacts``. Without a home or
permission nothing is cached. When all copies take more than 10 GiB, those go that were not used for
the longest time; an artefact of more than a quarter of that is not copied at all.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from remission.disk import PART, cache_home, write_whole

_MOST = 10 << 30
"""Bytes that all copies may take."""


def cached(sha256: str) -> bytes | None:
    """Returns the artefact with a checksum; None where there is no undamaged copy."""
    folder = _folder()
    if folder is None:
        return None
    file = folder / sha256
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == sha256:
            os.utime(file)  # so that its time is that of its last use
            return content
        file.unlink(missing_ok=True)
    except OSError:
        pass
    return None


def put_into_cache(sha256: str, content: bytes) -> None:
    """Keeps a copy of an artefact, unless it alone takes more than a quarter of the limit."""
    folder = _folder()
    if folder is None or len(content) > _MOST // 4:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / sha256, [content])
        _drop_least_recently_used(folder)
    except OSError:
        return  # a cache that cannot be written costs time and nothing else


def _drop_least_recently_used(folder: Path) -> None:
    """Removes the copies that were used longest ago until the rest takes less than the limit."""
    copies = [file for file in folder.iterdir() if not file.name.startswith(PART)]
    uses = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in copies)
    total = sum(size for _, size, _ in uses)
    for _, size, file in uses:
        if total <= _MOST:
            return
        file.unlink(missing_ok=True)
        total -= size


def _folder() -> Path | None:
    if own := os.environ.get("REMISSION_ARTEFACTS"):
        return Path(own)
    home = cache_home()
    return None if home is None else home / "artefacts"
