"""Ctrl-C, as a terminal sends it: to the command and to every process that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.grid.small import (
    LABELS,
    Told,
    assert_whole,
    by_label,
    computed,
    finish,
    results,
    run,
    start,
    write_spec,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups")

SLOW = """
import signal
import time
from pathlib import Path

# Heard even where the tests run in the background, which is started with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def begun():
    Path(__file__).with_suffix(".begun").touch()
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        Path(__file__).with_suffix(".heard").touch()
        raise

def slow(self, model, clean, *, seed):
    begun()

if __name__ != "__main__" and {starting}:
    begun()

def receive_elsewhere():
    import threading
    while not Path(__file__).with_suffix(".begun").exists():
        time.sleep(0.02)
    time.sleep(1)  # until the main thread waits for its workers
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

if __name__ == "__main__" and {elsewhere}:
    from threading import Thread
    Thread(target=receive_elsewhere, daemon=True).start()

import remission.grid.executor.run_plan
import remission.grid.run
from remission.purifiers import FT

FT.purify = slow
remission.grid.run.threads = remission.grid.executor.run_plan.threads = lambda: 1

if __name__ == "__main__":
    from remission.cli import main
    main()
"""
"""The command line, but one thing takes longer than the test: something to interrupt."""

INTERRUPTED = "remission: interrupted; all finished stages are stored, and the same command goes on"


@contextmanager
def running(
    folder: Path, jobs: int, *, starting: bool = False, elsewhere: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Runs the small grid in processes of its own, which end with the test at the latest.

    Args:
        folder: the folder of the spec and the store.
        jobs: processes that compute.
        starting: whether the start of those processes takes long; else fine-tuning does.
        elsewhere: whether another thread than the main one then receives Ctrl-C.
    """
    script = folder / "slow.py"
    script.write_text(SLOW.format(starting=starting, elsewhere=elsewhere), encoding="utf-8")
    spec, store = write_spec(folder), folder / "store"
    process = start(["run", spec, "--store", store, "--jobs", str(jobs)], script=script)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def interrupt(process: subprocess.Popen[str]) -> Told:
    os.killpg(process.pid, signal.SIGINT)
    return finish(process, seconds=90)


def gone(pid: int) -> bool:
    """Returns whether a process has ended (a zombie has)."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True


def children(pid: int) -> list[int]:
    """Returns the processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(number) for number in found.split()]


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 180
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.parametrize("jobs", [1, 2])
def test_in_the_middle_everything_finished_is_kept(
    finished: Path, tmp_path: Path, jobs: int
) -> None:
    store = tmp_path / "store"
    with running(tmp_path, jobs) as process:
        wait_for(tmp_path / "slow.begun", process)
        told = interrupt(process)
    assert told.status == 130
    assert told.lines[-1] == INTERRUPTED
    assert "Traceback" not in told.err
    assert told.out == ""

    kept = by_label(store)
    assert {"badnets/seed0/victim"} <= kept.keys()
    assert "badnets/seed0/ft" not in kept
    assert set(computed(told)) <= kept.keys()  # what was told as finished is there
    assert {record.status for record in kept.values()} == {"done"}
    assert_whole(store)
    again = run(tmp_path / "spec.toml", store)
    assert again.status == 0
    assert sorted(computed(again)) == sorted(set(LABELS) - kept.keys())
    assert results(store) == results(finished)


def test_while_the_processes_start_it_is_one_line_too(tmp_path: Path) -> None:
    with running(tmp_path, jobs=2, starting=True) as process:
        wait_for(tmp_path / "slow.begun", process)
        told = interrupt(process)
    assert told.status == 130
    assert told.lines == [f"{len(LABELS)} stages, 0 stored already", INTERRUPTED]
    assert not (tmp_path / "slow.heard").exists()  # else it is chance that nothing was printed
    assert_whole(tmp_path / "store")


def test_it_does_not_matter_which_thread_receives_it(tmp_path: Path) -> None:
    with running(tmp_path, jobs=2, elsewhere=True) as process:
        told = finish(process, seconds=90)
    assert told.status == 130
    assert told.lines[-1] == INTERRUPTED


def test_a_polite_request_to_stop_is_an_interruption(tmp_path: Path) -> None:
    with running(tmp_path, jobs=2) as process:
        wait_for(tmp_path / "slow.begun", process)
        process.send_signal(signal.SIGTERM)  # to the command alone, as a service manager does
        told = finish(process, seconds=90)
    assert told.status == 130
    assert told.lines[-1] == INTERRUPTED
    assert_whole(tmp_path / "store")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_killed_command_leaves_no_process_behind(tmp_path: Path) -> None:
    with running(tmp_path, jobs=2) as process:
        wait_for(tmp_path / "slow.begun", process)
        started = children(process.pid)
        assert len(started) >= 2
        process.kill()
        process.communicate(timeout=90)  # the workers hold its pipes until they end
    give_up = time.monotonic() + 90
    while not all(gone(pid) for pid in started):
        assert time.monotonic() < give_up
        time.sleep(0.05)
