"""A failing stage, a damaged store or a full disk: the next run repairs the results."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.purifiers import FT
from remission.records import read_records
from tests.unit.grid.small import (
    LABELS,
    age,
    assert_whole,
    by_label,
    computed,
    finish,
    remission,
    results,
    run,
    snapshot,
    start,
    write_spec,
)

FT_BRANCH = [
    "badnets/seed0/ft",
    "badnets/seed0/ft/retuning-0",
    "badnets/seed0/ft/retuning-3",
    "badnets/seed0/ft/path",
]


def without_ft(store: Path) -> None:
    """Removes the results of fine-tuning, and those that build upon them, from a store."""
    for label, record in by_label(store).items():
        if label in FT_BRANCH:
            (store / "records" / record.kind / f"{record.id}.json").unlink()
            for artefact in record.artefacts.values():
                (store / artefact.file).unlink()


def test_a_failing_stage_loses_its_branch_and_nothing_else(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck\nin two lines")

    store, spec = tmp_path / "store", write_spec(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FT, "purify", broken)
        told = run(spec, store)
    assert told.status == 1
    assert (
        "remission: badnets/seed0/ft failed: RuntimeError: out of luck in two lines" in told.lines
    )
    assert "remission: 3 stages that build upon these were skipped" in told.lines
    assert "Traceback" not in told.err

    whole = results(finished)
    assert {k: v for k, v in results(store).items() if k not in FT_BRANCH} == {
        k: v for k, v in whole.items() if k not in FT_BRANCH
    }
    failed = by_label(store)["badnets/seed0/ft"]
    assert (failed.status, failed.error) == ("failed", "RuntimeError: out of luck in two lines")
    assert failed.cell is not None
    assert (failed.cell.status, failed.cell.asr, failed.cell.clean_acc) == ("failed", None, None)
    assert failed.cell.purifier == "ft"
    for label in FT_BRANCH[1:]:  # none is silently missing from a table
        assert by_label(store)[label].status == "failed"
        assert by_label(store)[label].error == "skipped: a stage that it builds upon failed"
    assert remission("store", "verify", store).status == 0
    assert "failed" in remission("table", store).out

    told = run(spec, store)
    assert told.status == 0
    assert sorted(computed(told)) == sorted(FT_BRANCH)
    assert results(store) == whole
    assert "failed" not in remission("table", store).out


def test_a_failing_stage_in_a_worker_process_is_told_the_same_way(
    store: Path, tmp_path: Path
) -> None:
    without_ft(store)
    spec = write_spec(tmp_path, ("epochs = 2\naugment", "epochs = 3\nlr = 1e30\naugment"))
    told = run(spec, store, "--jobs", "2")
    assert told.status == 1
    assert [line for line in told.lines if line.startswith("remission: ")] == [
        "remission: badnets/seed0/ft failed: DivergedError: ft: the loss is nan in epoch 2; "
        "use a smaller lr",
        "remission: 3 stages that build upon these were skipped",
    ]


def test_a_victim_that_diverges_leaves_the_control_of_its_recipe_failed_too(
    tmp_path: Path,
) -> None:
    spec = write_spec(tmp_path, ("[victim]\nepochs = 1", "[victim]\nepochs = 2\nlr = 1e30"))
    told = run(spec, tmp_path / "store")
    assert told.status == 1
    assert sorted(computed(told)) == ["badnets/seed0/victim", "control/seed0"]
    records = by_label(tmp_path / "store")
    assert {record.status for record in records.values()} == {"failed"}
    assert not list((tmp_path / "store").glob("artefacts/*"))
    assert remission("table", tmp_path / "store").status == 0


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def strip(file: Path) -> None:
    file.write_text('{"format": 1}', encoding="utf-8")


MISSING = "the file {} is missing from the store"


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    ("label", "artefact"),
    [
        ("badnets/seed0/victim", "weights"),
        ("badnets/seed0/victim", "trigger"),
        ("badnets/seed0/inversion", "generator"),
    ],
)
def test_a_damaged_artefact_is_named_and_computed_anew(
    store: Path,
    finished: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    label: str,
    artefact: str,
) -> None:
    file = by_label(store)[label].artefacts[artefact].file
    damage(store / file)
    told = remission("store", "verify", store)
    assert told.status == 1
    (line,) = told.out.splitlines()
    assert line.startswith(f"{label}: the file {file} is ")
    assert ", 1 damaged\n" in told.err
    (line,) = remission("store", "verify", store).out.splitlines()
    assert line.startswith(f"{label}: {MISSING.format(file)}; run the spec again")
    told = run(write_spec(tmp_path), store)
    assert (told.status, computed(told)) == (0, [label])
    assert_whole(store)
    assert results(store) == results(finished)


@pytest.mark.parametrize(
    ("label", "artefact", "child", "jobs"),
    [
        ("badnets/seed0/victim", "weights", "badnets/seed0/ft", "1"),
        ("badnets/seed0/victim", "weights", "badnets/seed0/ft", "2"),
        ("badnets/seed0/victim", "trigger", "badnets/seed0/ft/retuning-3", "1"),
        ("control/seed0", "weights", "badnets/seed0/control", "1"),
        ("badnets/seed0/inversion", "generator", "badnets/seed0/pam", "2"),
        ("badnets/seed0/ft", "weights", "badnets/seed0/ft/path", "1"),
    ],
)
def test_a_parent_that_is_found_damaged_when_it_is_loaded_is_computed_anew_by_the_next_run(
    store: Path, finished: Path, tmp_path: Path, label: str, artefact: str, child: str, jobs: str
) -> None:
    records, spec = by_label(store), write_spec(tmp_path)
    file = records[label].artefacts[artefact].file
    flip(store / file)
    assert computed(run(spec, store)) == []  # nobody loads it, so that nobody reads it
    (store / "records" / records[child].kind / f"{records[child].id}.json").unlink()
    told = run(spec, store, "--jobs", jobs)
    assert (told.status, computed(told)) == (2, [])
    assert told.lines[-1].startswith(
        f"remission: the file {file} of '{label}' is damaged (wrong checksum); run the spec again"
    )
    assert label in by_label(store)  # what was measured stays in the tables
    told = run(spec, store, "--jobs", jobs)
    assert (told.status, sorted(computed(told))) == (0, sorted([label, child]))
    assert_whole(store)
    assert results(store) == results(finished)


def test_a_damaged_artefact_that_cannot_be_renamed_is_to_be_removed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = by_label(store)
    file = records["badnets/seed0/victim"].artefacts["weights"].file
    flip(store / file)
    without_ft(store)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", refuse)
    words = (f"the file {file} ", "wrong checksum", "remove it, then run the spec again")
    told = run(write_spec(tmp_path), store)
    assert told.status == 2
    assert all(word in told.lines[-1] for word in words)
    told = remission("store", "verify", store)
    assert told.status == 1
    assert all(word in told.out for word in words)


@pytest.mark.parametrize("damage", [truncate, empty, strip, Path.unlink])
def test_a_damaged_record_is_computed_anew(
    store: Path, finished: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    record = by_label(store)["badnets/seed0/pam"]
    damage(store / "records" / record.kind / f"{record.id}.json")
    told = run(write_spec(tmp_path), store)
    assert (told.status, computed(told)) == (0, ["badnets/seed0/pam"])
    assert results(store) == results(finished)


def test_a_record_of_another_model_in_its_place_is_computed_anew(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    labels = by_label(store)
    for here, there in [("ft", "pam"), ("ft/path", "pam/path"), ("ft", "pam/retuning-3")]:
        it, other = labels[f"badnets/seed0/{here}"], labels[f"badnets/seed0/{there}"]
        shutil.copy(
            store / "records" / it.kind / f"{it.id}.json",
            store / "records" / other.kind / f"{other.id}.json",
        )
    told = run(write_spec(tmp_path), store)
    assert told.status == 0
    assert sorted(computed(told)) == [
        "badnets/seed0/pam",
        "badnets/seed0/pam/path",
        "badnets/seed0/pam/retuning-3",
    ]
    assert results(store) == results(finished)


class FullDisk:
    """A disk that takes some files and then has no space left."""

    def __init__(self, files: int, number: int) -> None:
        self.left, self.number, self.fsync = files, number, os.fsync

    def __call__(self, descriptor: int) -> None:
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        self.left -= 1
        self.fsync(descriptor)


@pytest.mark.parametrize(
    ("files", "number"),
    [
        (0, errno.ENOSPC),  # not even the mark of the store
        (1, errno.ENOSPC),
        (4, errno.ENOSPC),
        (20, errno.ENOSPC),
        (7, errno.EDQUOT),
        (2, errno.EFBIG),
    ],
)
def test_a_full_disk_keeps_everything_finished(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, number: int
) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(files, number))
        told = run(spec, store)
    assert told.status == 2
    complaint = told.lines[-1]
    assert complaint.startswith("remission: no space left for '")
    assert complaint.endswith("then run again: everything finished is kept")
    assert "Traceback" not in told.err
    assert_whole(store)
    kept = len(list(store.rglob("records/*/*.json")))
    told = run(spec, store)
    assert told.status == 0
    assert len(computed(told)) == len(LABELS) - kept
    assert results(store) == results(finished)


def test_a_disk_that_breaks_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", FullDisk(3, errno.EIO))
    told = run(write_spec(tmp_path), tmp_path / "store")
    assert told.status == 2
    assert told.lines[-1].startswith(f"remission: '{tmp_path / 'store'}")
    assert f"cannot be written ([Errno {errno.EIO}]" in told.lines[-1]


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
if __name__ == "__main__":
    from remission.cli import main
    main()
"""


def test_a_file_that_the_system_refuses_to_grow_in_a_worker(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="there is no limit on the size of files here")
    script, store, spec = tmp_path / "limited.py", tmp_path / "store", write_spec(tmp_path)
    script.write_text(LIMITED.format(limit=8192), encoding="utf-8")  # weights take more than that
    told = finish(start(["run", spec, "--store", store, "--jobs", "2"], script=script))
    assert told.status == 2, told.err
    assert told.lines[-1].startswith(f"remission: no space left for '{store}")
    assert "Traceback" not in told.err
    assert_whole(store)
    assert not list(store.rglob("artefacts/*"))


def test_a_folder_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "photo.png").write_bytes(b"not ours")
    before = snapshot(folder)
    told = run(write_spec(tmp_path), folder)
    assert told.status == 2
    assert told.lines == [
        f"remission: the folder '{folder}' is not empty and no store; "
        "name a new folder, or one that `remission run` made"
    ]
    assert snapshot(folder) == before


@pytest.mark.parametrize("mark", ["", "x", "[]", "null", "3", '{"format": 2}', "{}"])
def test_a_store_of_another_kind_is_refused(store: Path, tmp_path: Path, mark: str) -> None:
    (store / "remission-store.json").write_text(mark, encoding="utf-8")
    before = snapshot(store)
    newer = mark == '{"format": 2}'
    place = store if newer else store / "remission-store.json"
    says = f"'{place}' {'was made by a newer remission' if newer else 'is damaged'}"
    told = run(write_spec(tmp_path), store)
    assert told.status == 2
    assert says in told.lines[0]
    verified = remission("store", "verify", store)
    assert verified.status == (2 if newer else 1)
    assert says in verified.err + verified.out
    assert snapshot(store) == before


def test_gc_removes_what_no_record_names_and_nothing_else(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    left = f"{'0' * 16}.weights.safetensors"
    unneeded = [store / "artefacts" / left, store / "records" / "victim" / ".part-1"]
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / left).write_bytes(b"precious")
    (store / "artefacts" / f"{'1' * 16}.weights.safetensors").symlink_to(outside / left)
    (store / "records" / "linked").symlink_to(outside, target_is_directory=True)
    (store / "artefacts" / "notes.txt").write_text("mine")
    for file in unneeded:
        file.write_bytes(b"left over")
    age(*unneeded, store / "artefacts" / "notes.txt", outside / left)
    told = remission("store", "gc", store)
    assert told.status == 0
    assert sorted(told.out.splitlines()) == sorted(map(str, unneeded))
    assert (outside / left).read_bytes() == b"precious"
    assert (store / "artefacts" / "notes.txt").read_text() == "mine"
    assert snapshot(finished).keys() <= snapshot(store).keys()
    assert remission("store", "gc", store).out == ""
    assert computed(run(write_spec(tmp_path), store)) == []


def test_an_artefact_behind_a_link_is_used_if_its_checksum_is_right(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    spec, elsewhere = write_spec(tmp_path), tmp_path / "elsewhere"
    file = store / by_label(store)["badnets/seed0/victim"].artefacts["weights"].file
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    without_ft(store)
    told = run(spec, store)
    assert (told.status, sorted(computed(told))) == (0, sorted(FT_BRANCH))
    assert_whole(store)
    flip(elsewhere)
    damaged = elsewhere.read_bytes()
    assert remission("store", "verify", store).status == 1
    assert computed(run(spec, store)) == ["badnets/seed0/victim"]
    assert (file.is_symlink(), elsewhere.read_bytes()) == (False, damaged)
    assert_whole(store)
    assert results(store) == results(finished)


def test_a_record_that_names_a_file_outside_of_the_store_is_damaged(store: Path) -> None:
    record = by_label(store)["badnets/seed0/victim"]
    text = record.to_json().replace(record.artefacts["weights"].file, "../elsewhere")
    (store / "records" / "victim" / f"{record.id}.json").write_text(text)
    told = remission("table", store)
    assert told.status == 2
    assert "is damaged" in told.err


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("victim", ("[victim]\nepochs = 1", "[victim]\nepochs = 1\nlr = 1e36")),
        ("reactivated", ('method = "retuning"', 'method = "retuning"\nlr = 1e36')),
    ],
)
def test_a_model_that_diverged_in_its_last_step_is_no_perfect_backdoor(
    kind: str, table: tuple[str, str], tmp_path: Path
) -> None:
    """The argmax of NaN is class 0, which is the target."""
    assert run(write_spec(tmp_path, table), tmp_path / "store").status == 1
    records = by_label(tmp_path / "store").values()
    assert {record.status for record in records if record.kind == kind} == {"failed"}


def test_a_record_names_the_settings_that_its_identity_was_made_from(finished: Path) -> None:
    from remission.records.identity import identity

    for record in read_records(finished):
        settings = json.loads(json.dumps(record.settings))
        assert identity(record.kind, settings, record.parents) == record.id
