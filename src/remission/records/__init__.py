"""Records, what they hold, and the store that holds them, a folder or behind an address. No torch.

A *record* is what one stage of the grid leaves behind. A record of a measured model holds a
:class:`Cell`; a record of a path between two models holds :class:`PathCurve` objects. Tables and
reports are made from records alone.
"""

from __future__ import annotations

from remission.records.cell import ATTACKED, SUBJECT, Cell, Json, Subject
from remission.records.files import STORE_MARK
from remission.records.path import PathCurve, Plane, Quantity
from remission.records.reading import (
    brief,
    cells,
    digests,
    path_curves,
    read_record,
    read_records,
)
from remission.records.record import FORMAT, Artefact, Record
from remission.records.store import Store

__all__ = [
    "ATTACKED",
    "FORMAT",
    "STORE_MARK",
    "SUBJECT",
    "Artefact",
    "Cell",
    "Json",
    "PathCurve",
    "Plane",
    "Quantity",
    "Record",
    "Store",
    "Subject",
    "brief",
    "cells",
    "digests",
    "path_curves",
    "read_record",
    "read_records",
]
