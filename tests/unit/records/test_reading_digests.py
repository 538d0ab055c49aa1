"""The digests of the files of records, as sha256sum prints them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import digests, read_records
from tests.unit.report.report_factory import cell, records, write_store


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
