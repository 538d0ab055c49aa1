"""Which stages are finished, asked of a store behind a network in few requests."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from remission.errors import StoreError
from remission.records.artefacts import check_size
from remission.records.files import ARTEFACTS, RECORDS
from remission.records.places import StorePath, read_all, sizes_in, unreadable
from remission.records.reading import parsed
from remission.records.record import Record


def finished_behind_network(
    store: StorePath, stages: Iterable[tuple[str, str]]
) -> dict[str, Record]:
    """Returns the records of finished stages, see :meth:`remission.records.store.Store.finished`.

    Records and the sizes of artefacts are read many at once.
    """
    by_kind, done = dict[str, list[str]](), dict[str, Record]()
    for kind, identity in stages:
        by_kind.setdefault(kind, []).append(f"{identity}.json")
    try:
        sizes = sizes_in(store / ARTEFACTS)
        for kind, names in by_kind.items():
            folder = store / RECORDS / kind
            there = sizes_in(folder)
            contents = read_all(folder, [name for name in names if name in there])
            for name, content in contents.items():
                with suppress(StoreError):
                    record = parsed(content, folder / name, kind)
                    for artefact in record.artefacts.values():
                        check_size(artefact, sizes.get(artefact.file.partition("/")[2]))
                    if record.status == "done":
                        done[record.id] = record
    except OSError as error:
        raise unreadable(store, error) from error
    return done
