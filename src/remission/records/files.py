"""The names of a store's files and folders."""

from __future__ import annotations

import hashlib
import re

from remission.disk import PART
from remission.records.places import StorePath

STORE_MARK = "remission-store.json"
"""The file that makes a folder a store."""
RECORDS = "records"
"""Folder: one folder per kind of stage, one JSON file per record, named by its identity."""
ARTEFACTS = "artefacts"
"""Folder: weights and pictures, each named by the identity of its record and its own name."""
SPECS = "specs"
"""Folder: the texts of the specs that were run into the store."""
PLANS = "plans"
"""Folder: one file per spec, with all stages of its grid."""
CLAIMS = "claims"
"""Folder: one file per stage that a process is at work on, see :mod:`remission.records.claims`."""
SNAPSHOTS = "snapshots"
"""Folder: one file per stage whose training is under way, or was ended in the middle."""
VERSIONS_FILE = "versions.json"
"""The versions of methods that the last runs into the store had."""
DAMAGED = ".damaged"
"""The suffix of an artefact whose file was damaged and was set aside."""
LITTER = frozenset(
    {
        ".DS_Store",
        ".Spotlight-V100",
        ".Trashes",
        ".directory",
        ".fseventsd",
        "$RECYCLE.BIN",
        "System Volume Information",
        "Thumbs.db",
        "desktop.ini",
        "lost+found",
    }
)
"""What operating systems put into folders and disks of their own accord."""

_NAMES = {
    ARTEFACTS: re.compile(rf"[0-9a-f]{{16}}\.[a-z_]+\.(safetensors|png)({re.escape(DAMAGED)})?"),
    SPECS: re.compile(r"[A-Za-z0-9_-]*\.json"),
    PLANS: re.compile(r"[A-Za-z0-9_-]*(\.[0-9a-f]{8})?\.json"),
    CLAIMS: re.compile(r"[0-9a-f]{16}\.json"),
    SNAPSHOTS: re.compile(r"[0-9a-f]{16}\.snapshot"),
}
_RECORD = re.compile(r"[0-9a-f]{16}\.json")
_READABLE = 100
"""Characters of a spec's name that the name of its plan shows where a digest follows."""
_KIND = re.compile(r"[a-z]+")


def is_record_name(name: str) -> bool:
    """Returns whether the name is that of a record: an identity and ``.json``."""
    return _RECORD.fullmatch(name) is not None


def record_names(folder: StorePath) -> list[str]:
    """Lists the files of the records of one kind by name, in order.

    Args:
        folder: that of the kind, see :func:`record_folders`.

    Raises:
        OSError: they cannot be listed.
    """
    return sorted(file.name for file in folder.iterdir() if is_record_name(file.name))


def is_artefact_name(name: str) -> bool:
    """Returns whether the name is that of an artefact, or of a damaged one that was set aside."""
    return _NAMES[ARTEFACTS].fullmatch(name) is not None


def is_name_in(folder: str, name: str) -> bool:
    """Returns whether a name is one that remission gives to files of a folder of the store.

    Args:
        folder: :data:`SPECS`, :data:`PLANS`, :data:`CLAIMS`, :data:`SNAPSHOTS` or
            :data:`ARTEFACTS`.
        name: of a file.
    """
    return _NAMES[folder].fullmatch(name) is not None


def spec_file_name(name: str) -> str:
    """Returns a spec's name with a hyphen for each character that does not suit a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)


def plan_file_names(name: str) -> tuple[str, ...]:
    """Returns the names that the plan of a spec may have, the one that is written first.

    Where characters of the spec's name do not suit a file's name, a digest of that name follows
    behind a full stop, so that no two specs share a plan. Older remissions left the digest out.
    """
    plain = spec_file_name(name)
    if name and plain == name:
        return (f"{plain}.json",)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[:_READABLE] or '-'}.{digest}.json", f"{plain}.json"


def record_folders(store: StorePath) -> list[StorePath]:
    """Lists the folders of a store's records, one per kind of stage, links to folders included.

    Raises:
        OSError: they cannot be listed.
    """
    root = store / RECORDS
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if _KIND.fullmatch(f.name) and f.is_dir())


def folders(store: StorePath) -> list[StorePath]:
    """Lists the folders in which a store's files lie, as far as they exist, the store first.

    Raises:
        OSError: they cannot be listed.
    """
    own_folders = [store, *(store / name for name in _NAMES)]
    return [folder for folder in own_folders if folder.is_dir()] + record_folders(store)


def holds_results(folder: StorePath) -> bool:
    """Returns whether a folder is a store, or holds one where ``remission demo`` places it.

    Raises:
        OSError: the folder cannot be listed.
    """
    return any((place / STORE_MARK).is_file() for place in (folder, *folder.iterdir()))


def foreign_files(store: StorePath) -> list[StorePath]:
    """Lists the files in a store's folders whose names are not given by remission.

    Examples are the conflict copies of a synchronisation, and files that operating systems add.

    Raises:
        OSError: a folder cannot be listed.
    """
    expected = {store / name: pattern for name, pattern in _NAMES.items()}
    expected |= dict.fromkeys(record_folders(store), _RECORD)
    foreign = [
        file
        for folder, pattern in expected.items()
        if folder.is_dir()
        for file in folder.iterdir()
        if not pattern.fullmatch(file.name) and not file.name.startswith(PART)
    ]
    if (store / RECORDS).is_dir():
        foreign += [
            file
            for file in (store / RECORDS).iterdir()
            if file not in expected and not file.name.startswith(PART)
        ]
    return sorted(foreign)
