"""The two ways to files that are not on this computer: the system's package, the public address.

Neither needs root. What they bring is not trusted: the caller verifies it.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from remission.data.source import Source
from remission.progress import advance

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
        # The system's package lists are missing or old: an ordinary user can have lists of its own.
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

    Raises:
        UnavailableError: the server does not answer, or does not have them.
    """
    sizes = {file.name: file.size for file in source.files}
    sizes.update({archive.name: archive.size for archive in source.archives})
    for name, size in sizes.items():
        try:
            _download_file(f"{source.address}{name}", name, size, scratch / name)
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"{name}: status {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(f"{name}: {reason}") from None
    return scratch


def _download_file(address: str, name: str, size: int, goal: Path) -> None:
    """``size``: bytes of the archive, or of the content of a compressed file."""
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
        raise UnavailableError(f"{name}: the connection ended after {done} of {total} bytes")
