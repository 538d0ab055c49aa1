"""Every byte of a store is covered: a change is named, and the next run mends or refuses it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from remission.records.checking import check_store
from tests.unit.grid.small import assert_one_line, remission, results, run, write_spec

FILES = [
    "remission-store.json",
    "versions.json",
    "plans/*.json",
    "specs/*.json",
    "records/baseline/*.json",
    "records/control/*.json",
    "records/inversion/*.json",
    "records/path/*.json",
    "records/purified/*.json",
    "records/reactivated/*.json",
    "records/victim/*.json",
    "artefacts/*.generator.safetensors",
    "artefacts/*.trigger.safetensors",
    "artefacts/*.weights.safetensors",
    "artefacts/*.png",
]


def flipped(file: Path, seed: int) -> None:
    """Flips one bit of a file."""
    draws, content = random.Random(seed), bytearray(file.read_bytes())
    content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    file.write_bytes(content)


def test_every_kind_of_file_is_tried(finished: Path) -> None:
    tried = {file for pattern in FILES for file in finished.glob(pattern)}
    kinds = {file.parent for file in finished.rglob("*") if file.is_file()}
    assert {file.parent for file in tried} == kinds


@pytest.mark.parametrize("pattern", FILES)
def test_a_bit_that_flips_is_named_and_mended(
    store: Path, finished: Path, tmp_path: Path, pattern: str
) -> None:
    seed = FILES.index(pattern)
    files = sorted(store.glob(pattern))
    file = files[seed % len(files)]
    flipped(file, seed)
    told = remission("store", "verify", store)
    assert told.status == 1, told
    assert file.name in told.out
    (line,) = told.out.splitlines()
    is_mark = file.name == "remission-store.json"
    assert ("write exactly" in line) == is_mark, "no run goes into a store without its mark"
    assert ("spec again, which" in line) != is_mark
    again = run(write_spec(tmp_path), store)
    if is_mark:
        assert_one_line(again, "is damaged", 'write exactly {"format": 1} into it')
        shutil.copy(finished / file.name, file)
        again = run(write_spec(tmp_path), store)
    assert again.status == 0, again
    assert remission("store", "verify", store).status == 0
    assert results(store) == results(finished)


def test_a_table_never_shows_a_number_of_a_damaged_record(store: Path) -> None:
    (file, *_) = sorted((store / "records" / "purified").glob("*.json"))
    text = file.read_text(encoding="utf-8")
    at = text.index('"clean_acc": 0.') + len('"clean_acc": 0.')
    digit = "1" if text[at] != "1" else "2"
    file.write_text(text[:at] + digit + text[at + 1 :], encoding="utf-8")
    assert_one_line(remission("table", store), f"the record {file} is damaged")


def test_records_without_a_checksum_are_counted(store: Path) -> None:
    (file, *_) = sorted((store / "records" / "purified").glob("*.json"))
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([lines[0], *lines[2:]]), encoding="utf-8")
    check = check_store(store)
    assert (check.flaws, check.unsealed) == ([], 1)
    told = remission("store", "verify", store)
    assert told.status == 0
    assert "1 records of an older remission have no checksum of their own" in told.err


def test_foreign_files_among_snapshots_are_none_of_the_stores(store: Path) -> None:
    (store / "snapshots").mkdir(exist_ok=True)
    for name in (".DS_Store", ".part-1234", "notes.txt"):
        (store / "snapshots" / name).write_bytes(b"x")
    assert remission("store", "verify", store).status == 0
    (store / "snapshots" / f"{'a' * 16}.snapshot").write_bytes(b"x")
    told = remission("store", "verify", store)
    assert told.status == 1
    assert f"snapshots/{'a' * 16}.snapshot" in told.out
