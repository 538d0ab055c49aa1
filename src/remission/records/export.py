"""All cells of a store as one table of typed columns, a Parquet file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remission.disk import obstacle, write_whole
from remission.errors import StoreError
from remission.records.cell import Cell
from remission.records.record import Record

if TYPE_CHECKING:
    import pyarrow as pa

_ABOUT = ("kind", "label", "finished")
"""Columns from the record of a cell: the kind of stage, its label, when it ended (UTC)."""
_INTERVALS = ("clean_acc_interval", "asr_interval")


def write_parquet(records: Sequence[Record], out: Path) -> int:
    """Writes one row per cell, in the order of the records.

    The columns are ``kind``, ``label`` and ``finished`` of the record, and the fields of
    :class:`remission.records.Cell`: numbers as ``int64`` and ``float64``, names as text, tables of
    parameters as JSON text, an interval as two columns ``..._low`` and ``..._high``, ``finished``
    as a time. ``target`` is null where the attacker has no single target; then ``all_to_all`` says
    whether there is one per class.

    Args:
        records: of one store.
        out: the file, which is replaced when the new one is whole.

    Returns:
        The number of rows.

    Raises:
        StoreError: pyarrow is not installed, or the file cannot be written.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise StoreError(
            "Parquet needs a package that is not installed",
            "install it: pip install 'remission[parquet]'",
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    if problem := obstacle(out):
        raise StoreError(*problem)
    rows = [_row(record, record.cell) for record in records if record.cell is not None]
    table = pa.Table.from_pylist(rows, schema=_schema())
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    try:
        write_whole(out, [sink.getvalue().to_pybytes()])
    except OSError as error:
        raise StoreError(
            f"the file '{out}' cannot be written ({error.strerror or error})",
            "free some space, or name a file in a folder that you may write to",
        ) from error
    return len(rows)


def _row(record: Record, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in _ABOUT}
    row["finished"] = datetime.fromisoformat(record.finished) if record.finished else None
    for field in dataclasses.fields(cell):
        value = getattr(cell, field.name)
        if field.name in _INTERVALS:
            low, high = value or (None, None)
            row[f"{field.name}_low"], row[f"{field.name}_high"] = low, high
        elif field.name == "target":
            row["target"] = value if isinstance(value, int) else None
            row["all_to_all"] = value == "all-to-all"
        else:
            row[field.name] = json.dumps(value) if isinstance(value, dict) else value
    return row


def _schema() -> pa.Schema:
    """Returns name and type of each column, in their order."""
    import pyarrow as pa

    types = {"str": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "float": pa.float64()}
    columns = [("kind", pa.string()), ("label", pa.string())]
    columns.append(("finished", pa.timestamp("s", tz="UTC")))
    for field in dataclasses.fields(Cell):
        named = str(field.type).partition(" | ")[0]
        if field.name in _INTERVALS:
            columns += [(f"{field.name}_low", pa.float64()), (f"{field.name}_high", pa.float64())]
        elif field.name == "target":
            columns += [("target", pa.int64()), ("all_to_all", pa.bool_())]
        elif named in ("Fraction", "Seconds"):
            columns.append((field.name, pa.float64()))
        else:
            columns.append((field.name, types.get(named, pa.string())))
    return pa.schema(columns)
