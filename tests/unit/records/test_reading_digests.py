"""The digests of the files of records, as sha256sum prints them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import digests, read_records
from tests.unit.report.report_factory import cell, record, records, write_store


def test_every_record_has_the_digest_of_its_file(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", records(cell(), cell(purifier="ft")))
    found = digests(store)
    assert sorted(found) == sorted(record.id for record in read_records(store))
    for identity, (place, digest) in found.items():
        assert place == f"records/purified/{identity}.json"
        assert digest == hashlib.sha256((store / place).read_bytes()).hexdigest()


def test_a_folder_of_records_in_git_is_read_as_well(tmp_path: Path) -> None:
    write_store(tmp_path / "one" / "store", records(cell()))
    ((place, _),) = digests(tmp_path).values()
    assert place.startswith("one/store/records/purified/")


def test_without_a_store_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        digests(tmp_path / "none")


def test_a_stage_that_several_folders_hold_counts_once(tmp_path: Path) -> None:
    """A result goes before a failure, a later result before an earlier one."""
    older, newer = cell(purifier="ft", asr=0.2), cell(purifier="ft", asr=0.3)
    first = record(older, id="a" * 16, finished="2026-01-01T00:00:00+00:00")
    last = record(replace(newer, id=older.id), id="a" * 16, finished="2026-01-02T00:00:00+00:00")
    broken = replace(last, status="failed", cell=None, finished="2026-01-03T00:00:00+00:00")
    for name, one in (("z", first), ("b", last), ("c", broken)):
        write_store(tmp_path / name, [one])
    claim = tmp_path / "b" / "claims" / f"{'b' * 16}.json"
    claim.parent.mkdir(exist_ok=True)
    claim.write_text("{}")
    (found,) = read_records(tmp_path)
    assert found.cell is not None
    assert found.cell.asr == 0.3
    ((place, digest),) = digests(tmp_path).values()
    assert place.startswith("b/")
    assert digest == hashlib.sha256((tmp_path / place).read_bytes()).hexdigest()
