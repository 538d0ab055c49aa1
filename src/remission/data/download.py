"""Files that are not on this computer come from the system's package or the public address.

Neither way needs root. The caller must verify what they bring.
"""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from remission.data.source import Source
from remission.progress import advance

_log = logging.getLogger(__name__)

_PAUSES = (1.0, 4.0)  # seconds before a second and a third try
_PASSING = (408, 429, 500, 502, 503, 504)  # statuses of a server that may answer the next time
_WAIT = 30.0  # seconds that a server may stay silent
_WAIT_APT = 600.0  # seconds that apt-get may take in all
_CHUNK = 1 << 16  # bytes


class UnavailableError(Exception):
    """One place does not have a data set; the next one is tried."""


def unpack_package(source: Source, scratch: Path) -> Path:
    """Downloads and unpacks the system's package below ``scratch``; returns the files' folder.

    Raises:
        UnavailableError: no such system, no such package, no network.
    """
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is not installed")
    if source.package is None or source.folder is None:
        raise UnavailableError("no package is known")
    advance(f"apt-get download {source.package}", 0, 1)
    try:
        _run(["apt-get", "download", source.package], scratch)
    except UnavailableError:
        # The system's package lists are missing or old; any user can fetch other ones.
        own = _own_lists(scratch)
        _run(["apt-get", *own, "update"], scratch)
        _run(["apt-get", *own, "download", source.package], scratch)
    packages = sorted(scratch.glob("*.deb"))
    if not packages:
        raise UnavailableError("apt-get downloaded nothing")
    unpacked = scratch / "unpacked"
    _run(["dpkg", "-x", str(packages[0]), str(unpacked)], scratch)
    advance(f"apt-get download {source.package}", 1, 1)
    return unpacked / source.folder.relative_to("/")


def _own_lists(scratch: Path) -> list[str]:
    lists, cache = scratch / "lists", scratch / "cache"
    for folder in (lists, cache):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]


def _run(command: list[str], folder: Path) -> None:
    program = " ".join(word for word in command[:1] + command[-2:] if "=" not in word)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_WAIT_APT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{program} took longer than {_WAIT_APT:.0f} s") from None
    except OSError as error:
        raise UnavailableError(f"{program} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        reason = lines[0].removeprefix("E: ") if lines else f"exit status {done.returncode}"
        raise UnavailableError(f"{program} failed: {reason}")


def download(source: Source, scratch: Path) -> Path:
    """Downloads the files from the public address into ``scratch``; returns it.

    A file that fails for a reason that may pass (a silent or busy server, a connection that ends
    early) is tried three times, with a pause before each further try.

    Raises:
        UnavailableError: the server does not answer, or does not have them.
    """
    sizes = {file.name: file.size for file in source.files}
    sizes.update({archive.name: archive.size for archive in source.archives})
    for name, size in sizes.items():
        for pause in (*_PAUSES, None):
            reason, may_pass = _failure(f"{source.address}{name}", name, size, scratch / name)
            if reason is None:
                break
            if pause is None or not may_pass:
                raise UnavailableError(f"{name}: {reason}")
            _log.warning("%s: %s; trying again in %g s", name, reason, pause)
            time.sleep(pause)
    return scratch


def _failure(address: str, name: str, size: int, goal: Path) -> tuple[str | None, bool]:
    """Downloads a file; returns why that failed, if it did, and whether the reason may pass."""
    try:
        _download_file(address, name, size, goal)
    except urllib.error.HTTPError as error:
        return f"status {error.code} {error.reason}", error.code in _PASSING
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        # Without a network no name is found; to wait would only delay saying so.
        return str(cause), not isinstance(cause, socket.gaierror)
    return None, False


def _download_file(address: str, name: str, size: int, goal: Path) -> None:
    """Downloads one file.

    Args:
        address: of the file.
        name: of the file, for messages.
        size: bytes of the archive, or of the content of a compressed file.
        goal: where it is written; what lies there is overwritten.

    Raises:
        OSError: the server does not answer, or the connection ends early.
        UnavailableError: the file is longer than the published one.
    """
    request = urllib.request.Request(address, headers={"User-Agent": "remission"})
    with urllib.request.urlopen(request, timeout=_WAIT) as answer, goal.open("wb") as stream:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else size
        done = 0
        while chunk := answer.read(_CHUNK):
            stream.write(chunk)
            done += len(chunk)
            if done > size + _CHUNK:  # compressed, it is never longer than that
                raise UnavailableError(f"{name} is longer than the published file")
            advance(name, done, max(total, done))
    if length.isdecimal() and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")
