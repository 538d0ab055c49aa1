"""All cells as Parquet: every number comes back, with its type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remission.records import read_records
from tests.unit.grid.small import assert_one_line, remission

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def test_pandas_reads_every_cell_back(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "cells.parquet"
    told = remission("store", "export", finished, "--format", "parquet", "-o", out)
    assert told.status == 0, told
    table = pd.read_parquet(out).set_index("id")
    cells = {r.cell.id: (r, r.cell) for r in read_records(finished) if r.cell}
    assert set(table.index) == set(cells)
    for identity, (record, cell) in cells.items():
        row = table.loc[identity]
        assert row["label"] == record.label
        assert row["finished"].isoformat() == record.finished
        for name in ("clean_acc", "asr", "robust_acc", "seconds", "n_clean", "seed"):
            value = getattr(cell, name)
            assert pd.isna(row[name]) if value is None else row[name] == value, name
        assert json.loads(row["purifier_params"]) == cell.purifier_params
        assert cell.clean_acc_interval
        assert row["clean_acc_interval_high"] == cell.clean_acc_interval[1]
        assert row["target"] == cell.target
        assert not row["all_to_all"]
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert (kinds["asr"], kinds["seed"], kinds["all_to_all"]) == ("float64", "int64", "bool")
    assert kinds["finished"].startswith("datetime64")


def test_a_place_that_cannot_be_written(finished: Path, tmp_path: Path) -> None:
    told = remission("store", "export", finished, "-o", tmp_path / "nowhere" / "cells.parquet")
    assert_one_line(told, "does not exist", "name a file in a folder that exists")
