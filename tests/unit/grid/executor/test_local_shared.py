"""Several runs share one store; a worker that is killed takes nothing with it but its stage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from remission.records import read_records
from remission.records.claims import Claims, claims_in
from tests.unit.grid.small import (
    LABELS,
    assert_whole,
    by_label,
    computed,
    finish,
    remission,
    results,
    run,
    start,
    write_spec,
)

ONE_JOB = ("--device", "cpu", "--jobs", "1")


def test_two_runs_compute_each_stage_once(finished: Path, tmp_path: Path) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path)
    runs = [start(["run", spec, "--store", store, "--device", "cpu", "--jobs", n]) for n in "12"]
    told = [finish(process, 120) for process in runs]
    assert [one.status for one in told] == [0, 0], told
    assert Counter(_here(one.err) for one in told).total() == 2
    assert sum(_here(one.err) for one in told) == len(LABELS)
    for one in told:
        assert len(computed(one)) == len(LABELS), "each hears of every stage"
    assert results(store) == results(finished)
    assert list(claims_in(store)) == []
    assert_whole(store)


def _here(err: str) -> int:
    """Returns how many stages a run says that it computed itself."""
    (line,) = (line for line in err.splitlines() if " stages computed, " in line)
    return int(line.partition(" ")[0])


def started(spec: Path, store: Path) -> subprocess.Popen[str]:
    """Starts a run, and waits until it has planned and has had time to look for work."""
    plan = store / "plans" / "small.json"
    before, give_up = plan.stat().st_mtime_ns, time.monotonic() + 60
    process = start(["run", spec, "--store", store, *ONE_JOB])
    while plan.stat().st_mtime_ns == before:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    time.sleep(2)
    return process


def test_what_another_run_has_claimed_is_left_to_it(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    """The other run finishes its stage a second later; this one waits for its children."""
    record = by_label(store)["badnets/seed0/ft"]
    children = [r for r in read_records(store) if record.id in r.parents.values()]
    for one in (record, *children):
        (store / "records" / one.kind / f"{one.id}.json").unlink()
    theirs = Claims(store)
    assert theirs.take(record.id, record.kind, record.label)
    process = started(write_spec(tmp_path), store)
    assert process.poll() is None
    source = finished / "records" / record.kind / f"{record.id}.json"
    (store / "records" / record.kind / f"{record.id}.json").write_bytes(source.read_bytes())
    theirs.release_all()
    told = finish(process)
    assert told.status == 0, told
    assert f"{len(children)} stages computed" in told.err
    assert "1 were computed by other runs meanwhile" in told.err
    assert results(store) == results(finished)


def test_a_stage_that_failed_elsewhere_has_failed_here(store: Path, tmp_path: Path) -> None:
    record = by_label(store)["badnets/seed0/ft"]
    file = store / "records" / record.kind / f"{record.id}.json"
    for one in read_records(store):
        if record.id in (one.id, *one.parents.values()):
            (store / "records" / one.kind / f"{one.id}.json").unlink()
    theirs = Claims(store)
    assert theirs.take(record.id, record.kind, record.label)
    process = started(write_spec(tmp_path), store)
    failed = record.to_json().replace('"status": "done"', '"status": "failed"')
    late = failed.replace(
        f'"finished": "{record.finished}"', '"finished": "2999-01-01T00:00:00+00:00"'
    )
    file.write_text(late.replace('"error": null', '"error": "NaN"'))
    theirs.release_all()
    told = finish(process)
    assert told.status == 1, told
    assert "remission: badnets/seed0/ft failed: NaN" in told.err


KILLED = """
import os, signal
import remission.grid.executor.run_plan, remission.grid.run
from remission.purifiers import FT

def deadly(self, model, clean, *, seed):
    print("about to run out of memory")
    os.kill(os.getpid(), signal.SIGKILL)

FT.purify = deadly
remission.grid.run.threads = remission.grid.executor.run_plan.threads = lambda: 1

if __name__ == "__main__":
    from remission.cli import main
    main()
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_killed_worker_is_a_failed_stage_and_the_others_go_on(
    finished: Path, tmp_path: Path
) -> None:
    script, store, spec = tmp_path / "killed.py", tmp_path / "store", write_spec(tmp_path)
    script.write_text(KILLED, encoding="utf-8")
    told = finish(start(["run", spec, "--store", store, "--jobs", "2"], script=script), 120)
    assert told.status == 1, told
    reason = "its process was ended by SIGKILL (out of memory?)"
    assert f"remission: badnets/seed0/ft failed: {reason}" in told.lines
    found = by_label(store)
    failed = {label for label, record in found.items() if record.status == "failed"}
    assert failed == {label for label in LABELS if label.startswith("badnets/seed0/ft")}
    assert found["badnets/seed0/ft"].error == reason
    assert found["badnets/seed0/ft"].details["log"] == ["about to run out of memory"]
    assert list(claims_in(store)) == []
    assert_whole(store)
    again = run(spec, store)
    assert again.status == 0, again
    assert sorted(computed(again)) == sorted(failed)
    assert results(store) == results(finished)


def test_a_killed_run_leaves_claims_that_the_next_takes_over(
    finished: Path, tmp_path: Path
) -> None:
    store, spec = tmp_path / "store", write_spec(tmp_path)
    process = start(["run", spec, "--store", store, "--device", "cpu", "--jobs", "2"])
    give_up = time.monotonic() + 60
    while not (store / "claims").is_dir() or not list(claims_in(store)):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    told = run(spec, store)
    assert told.status == 0, told
    assert list(claims_in(store)) == []
    assert results(store) == results(finished)
    assert remission("store", "verify", store).status == 0
