"""The file that says which versions of methods count, where it was damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from remission.errors import StoreError
from remission.records.files import record_folders, record_names
from remission.records.places import StorePath, attempts
from remission.records.reading import parsed
from remission.records.record import Record
from remission.records.superseded import newest_versions, versions_in

_log = logging.getLogger(__name__)


def versions_to_keep(store: StorePath) -> dict[str, Any]:
    """Reads the versions that a run goes on from; one that damage took is that of a record.

    A warning says so, as tables may show other results than before.

    Returns:
        Method -> version, as :func:`remission.records.superseded.versions_in` does. If the file is
        damaged: the version of the record that was finished last, for each method.

    Raises:
        OSError: the records cannot be listed.
    """
    try:
        return versions_in(store)
    except StoreError as error:
        _log.warning(
            "%s; it is written anew: of each method that this run does not ask for, the version "
            "of the newest result counts",
            error.problem,
        )
        return newest_versions(_undamaged(store))


def _undamaged(store: StorePath) -> Iterator[Record]:
    """Yields the records of a store that can be read; the run deals with the others."""
    for folder in record_folders(store):
        for name, content in attempts(folder, record_names(folder)).items():
            if isinstance(content, bytes):
                with suppress(StoreError):
                    yield parsed(content, folder / name, folder.name)
