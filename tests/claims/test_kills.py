"""Runs that are killed at random moments end with the bits of one that was left alone.

``REMISSION_KILLS`` says how many grids are run (50). Each is killed, with its whole process group,
and run again until it ends by itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records.checking import check_store
from tests.unit.grid.executor.test_local_shared import ONE_JOB
from tests.unit.grid.small import results, run, snapshot, start, write_spec
from tests.unit.grid.stages.test_snapshots import CUT

pytestmark = pytest.mark.claims
COUNT = int(os.environ.get("REMISSION_KILLS", "50"))


def published(store: Path) -> dict[str, bytes]:
    """Returns the records of a store that are finished."""
    files = store.glob("records/*/*.json")
    contents = {str(file.relative_to(store)): file.read_bytes() for file in files}
    return {name: text for name, text in contents.items() if b'"status": "done"' in text}


def assert_clean(store: Path) -> None:
    """Checks that nothing in a store is damaged, which may hold no record yet."""
    if not (store / "remission-store.json").exists():
        return
    try:
        assert check_store(store).flaws == []
    except StoreError as error:
        assert "holds no records" in str(error)


def run_until_done(
    arguments: list[str | Path], store: Path, draws: random.Random, script: Path | None = None
) -> int:
    """Runs a command, which is killed at random moments; returns how often."""
    kills, before = 0, dict[str, bytes]()
    while True:
        process = start(arguments, script=script)
        deadline = draws.uniform(0.5, 12.0)
        try:
            process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        time.sleep(0.1)  # workers end with their parent
        assert_clean(store)
        now = published(store)
        assert before.items() <= now.items(), "what was published was computed again"
        before = now
        if process.returncode == 0:
            return kills
        assert process.returncode in (-signal.SIGKILL,), process.returncode


@pytest.mark.parametrize("number", range(COUNT))
def test_a_grid_that_is_killed_and_run_again(finished: Path, tmp_path: Path, number: int) -> None:
    draws, store = random.Random(number), tmp_path / "store"
    jobs = ONE_JOB if number % 2 else ("--device", "cpu", "--jobs", "2")
    kills = run_until_done(["run", write_spec(tmp_path), "--store", store, *jobs], store, draws)
    assert results(store) == results(finished)
    print(f"{kills} kills")


KEEPING = CUT.replace("if len(steps.read_text().splitlines()) == 2:", "if False:").replace(
    "kept(self, name, tensors)", "kept(self, name, tensors); import time; time.sleep(0.3)"
)


@pytest.mark.parametrize("number", range(max(1, COUNT // 5)))
def test_a_victim_that_is_killed_within_its_training(
    finished: Path, tmp_path: Path, number: int
) -> None:
    """Every step leaves a snapshot, and takes so long that most kills hit the training."""
    script, store = tmp_path / "keeping.py", tmp_path / "store"
    script.write_text(KEEPING, encoding="utf-8")
    arguments: list[str | Path] = ["run", write_spec(tmp_path), "--store", store, *ONE_JOB]
    run_until_done(arguments, store, random.Random(100 + number), script)
    assert results(store) == results(finished)
    assert snapshot(store, "snapshots") == {}


def busy_workers() -> list[int]:
    """Returns the processes of Ray that compute a stage at present."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::compute_stages"):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def test_ten_workers_of_ray_are_killed(finished: Path, tmp_path: Path) -> None:
    """Runs on Ray whose workers are killed at random, as often as it takes to kill ten."""
    pytest.importorskip("ray")
    draws, killed = random.Random(0), set[int]()
    for number in range(20):
        store = tmp_path / f"store{number}"
        spec = write_spec(tmp_path)
        process = start(["run", spec, "--store", store, "--on", "ray", "--jobs", "2"])
        while process.poll() is None:
            time.sleep(draws.uniform(0.2, 1.5))
            for worker in set(busy_workers()) - killed:
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
        process.communicate()
        assert process.returncode in (0, 1)
        assert_clean(store)
        assert run(spec, store).status == 0  # a task that was lost four times has failed
        assert results(store) == results(finished)
        if len(killed) >= 10:
            return
    pytest.fail(f"only {len(killed)} workers could be killed")
