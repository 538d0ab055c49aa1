"""What is said of the kinds of stages is true of their records."""

from __future__ import annotations

from pathlib import Path

from remission.records import read_records
from remission.records.kinds import KINDS


def test_the_kinds_that_store_weights_are_those_whose_records_name_them(finished: Path) -> None:
    records = read_records(finished)
    found = {record.kind: "weights" in record.artefacts for record in records}
    assert found == {kind: KINDS[kind].stores_weights for kind in found}
    assert set(found.values()) == {False, True}
