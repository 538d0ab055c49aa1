"""An artefact is compared with its checksum once, when it is loaded, and not read before."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import Artefact, Record
from remission.records import store as storing
from remission.records.artefacts import DamagedError, read_artefact
from remission.records.store import Store
from tests.unit.grid.small import by_label, computed, run, write_spec

CONTENT = b"weights" * 100


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Returns a record with one artefact, in the store ``tmp_path / "store"``."""
    store = Store(tmp_path / "store")
    record = Record(
        id="0" * 16,
        kind="control",
        label="control/seed0",
        status="done",
        settings={},
        parents={},
        artefacts=store.keep_artefacts("0" * 16, {"weights.safetensors": CONTENT}),
    )
    store.keep(record)
    return record


def test_an_artefact_is_read_from_the_disk_once(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    file = store.folder / record.artefacts["weights"].file
    opened, original = list[Path](), Path.open

    def spy(self: Path, *arguments: object, **options: object) -> object:
        opened.append(self)
        return original(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", spy)
    assert store.find("control", record.id) == record
    assert file not in opened
    assert store.read(record, "weights") == CONTENT
    assert opened.count(file) == 1


def test_stages_of_one_bundle_read_the_model_that_they_build_upon_once(
    record: Record, tmp_path: Path
) -> None:
    file = tmp_path / "store" / record.artefacts["weights"].file
    together, alone = (Store(tmp_path / "store", memory=most) for most in (len(CONTENT), 0))
    assert [store.read(record, "weights") for store in (together, alone)] == [CONTENT] * 2
    file.unlink()
    assert together.read(record, "weights") == CONTENT
    with pytest.raises(DamagedError, match="missing"):
        alone.read(record, "weights")


def truncate(file: Path) -> None:
    file.write_bytes(CONTENT[:-1])


def extend(file: Path) -> None:
    file.write_bytes(CONTENT + b"s")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("damage", [truncate, extend, Path.unlink, a_folder, a_pipe, a_device])
def test_what_is_missing_or_of_another_size_counts_as_not_computed(
    damage: Callable[[Path], None], record: Record, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    damage(store.folder / record.artefacts["weights"].file)
    assert store.find("control", record.id) is None
    with pytest.raises(DamagedError, match="run the spec again"):
        store.read(record, "weights")


def test_a_wrong_checksum_is_found_at_loading_and_the_record_counts_as_not_computed_from_then_on(
    record: Record, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    file = store.folder / record.artefacts["weights"].file
    file.write_bytes(CONTENT[:-1] + b"S")
    assert store.find("control", record.id) == record
    with pytest.raises(DamagedError, match="of 'control/seed0' is damaged"):
        store.read(record, "weights")
    assert store.find("control", record.id) is None
    assert file.with_name(f"{file.name}.damaged").read_bytes() == CONTENT[:-1] + b"S"
    with pytest.raises(DamagedError, match="is missing"):
        store.read(record, "weights")
    store.keep_artefacts(record.id, {"weights.safetensors": CONTENT})
    assert store.find("control", record.id) == record


def test_a_file_that_cannot_be_read_is_not_called_damaged(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store = Store(tmp_path / "store")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\); check its perm"):
        store.read(record, "weights")
    assert (store.folder / record.artefacts["weights"].file).is_file()


def test_no_more_is_read_than_the_record_says(tmp_path: Path) -> None:
    """The file grows while it is read, or has no known size, as below /proc."""
    (tmp_path / "artefacts").mkdir()
    (tmp_path / "artefacts" / "endless").symlink_to("/proc/self/maps")
    if not (tmp_path / "artefacts" / "endless").is_file():
        pytest.skip("there is no /proc here")
    artefact = Artefact(file="artefacts/endless", sha256=hashlib.sha256(b"").hexdigest(), bytes=0)
    with pytest.raises(DamagedError, match="wrong checksum"):
        read_artefact(tmp_path, artefact)


LOADS = {
    "badnets/seed0/control": ["control/seed0 weights", "badnets/seed0/victim trigger"],
    "badnets/seed0/inversion": ["badnets/seed0/victim weights"],
    "badnets/seed0/ft": ["badnets/seed0/victim weights", "badnets/seed0/victim trigger"],
    "badnets/seed0/pam": [
        "badnets/seed0/inversion generator",
        "badnets/seed0/victim weights",
        "badnets/seed0/victim trigger",
    ],
    "badnets/seed0/ft/retuning-3": ["badnets/seed0/ft weights", "badnets/seed0/victim trigger"],
    "badnets/seed0/ft/path": [
        "badnets/seed0/victim weights",
        "badnets/seed0/ft weights",
        "badnets/seed0/victim trigger",
    ],
}


def test_a_stage_reads_what_it_loads_once_and_nothing_else(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, spec, records = tmp_path / "store", write_spec(tmp_path), by_label(finished)
    shutil.copytree(finished, store)
    owner = {a.file: f"{r.label} {n}" for r in records.values() for n, a in r.artefacts.items()}
    loaded = list[str]()

    def spy(folder: Path, artefact: Artefact, label: str = "") -> bytes:
        loaded.append(owner[artefact.file])
        return read_artefact(folder, artefact, label)

    monkeypatch.setattr(storing, "read_artefact", spy)
    assert computed(run(spec, store)) == []
    assert loaded == []
    for label, expected in LOADS.items():
        (store / "records" / records[label].kind / f"{records[label].id}.json").unlink()
        loaded.clear()
        assert computed(run(spec, store)) == [label]
        assert sorted(loaded) == sorted(expected), label
