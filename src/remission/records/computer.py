"""Which computer this is, and when one of its processes began."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def this_computer() -> str:
    """Returns what no other computer, and no other container on this one, calls itself."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):  # which processes this one sees: those of its container, or all
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def began(process: int) -> str:
    """Returns when a process began; "" if there is none, "?" where the system does not say."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "?"
