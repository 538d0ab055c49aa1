"""The smallest whole grid, which runs in under a second, and helpers to run and read it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from remission.records import Record, read_records
from tests.environment import THREADS

SPEC = """
name = "small"
dataset = "digits"
arch = "resnet18:2"
precision = "fp32"
seeds = [0]

[split]
defender = 40
attacker = 40
victim = 120
test = 60

[victim]
epochs = 1
augment = "none"
batch_size = 40

[[attack]]
method = "badnets"
size = 2
margin = 0
poison_rate = 0.1

[inversion]
method = "bti_dbf"
generator = "small"
filters = 2
levels = 1
pretrain_epochs = 1
mask_epochs = 1
epochs = 1

[[purifier]]
method = "ft"
epochs = 2
augment = "none"

[[purifier]]
method = "pam"
rounds = 2
epochs = 1
augment = "none"

[[reactivation]]
method = "retuning"
budgets = [0, 3]
epochs = 1

[path]
points = 2
"""

LABELS = [
    "badnets/seed0/control",
    "badnets/seed0/control/retuning-0",
    "badnets/seed0/control/retuning-3",
    "badnets/seed0/ft",
    "badnets/seed0/ft/path",
    "badnets/seed0/ft/retuning-0",
    "badnets/seed0/ft/retuning-3",
    "badnets/seed0/inversion",
    "badnets/seed0/pam",
    "badnets/seed0/pam/path",
    "badnets/seed0/pam/retuning-0",
    "badnets/seed0/pam/retuning-3",
    "badnets/seed0/victim",
    "control/seed0",
]
"""Every stage of that grid, sorted; its order is free as long as parents come first."""

FURTHER_PURIFIER = """
[[purifier]]
method = "ep"
epochs = 1
augment = "none"
"""

Snapshot = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Told:
    """The result of a command: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()


def spec_with(*edits: tuple[str, str], more: str = "") -> str:
    """Returns the spec with text replaced (each once; it must be there), and more at its end."""
    text = SPEC
    for old, new in edits:
        assert old in text, f"the spec does not hold {old!r}"
        text = text.replace(old, new, 1)
    return text + more


def write_spec(folder: Path, *edits: tuple[str, str], more: str = "") -> Path:
    """Writes the edited spec as a file in ``folder``."""
    file = folder / "spec.toml"
    file.write_text(spec_with(*edits, more=more), encoding="utf-8")
    return file


def remission(*arguments: str | Path) -> Told:
    """Runs a command in this process, with as many threads in each process as the tests have."""
    from remission.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["remission", *map(str, arguments)]),
        mock.patch("remission.grid.run.threads", lambda: THREADS),
        mock.patch("remission.grid.executor.run_plan.threads", lambda: THREADS),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        main()
    assert isinstance(left.value.code, int)
    return Told(left.value.code, out.getvalue(), err.getvalue())


def run(spec: Path, store: Path | str, *options: str) -> Told:
    """Runs ``remission run`` in this process, by default one stage after the other."""
    jobs = () if "--jobs" in options else ("--jobs", "1")
    return remission("run", spec, "--store", store, "--device", "cpu", *jobs, *options)


def computed(told: Told) -> list[str]:
    """Returns the labels of the stages that a run reports as computed or failed."""
    lines = [line.split("] ", 1)[1] for line in told.lines if line.startswith("[")]
    return [line.partition(": ")[0] for line in lines if not line.endswith(": skipped")]


def assert_one_line(told: Told, *words: str) -> None:
    """Checks exit status 2 and one line: the problem, with ``words`` in it, and the remedy."""
    assert told.status == 2, told
    assert told.out == ""
    assert len(told.lines) == 1, told.err
    (line,) = told.lines
    assert line.startswith("remission: ")
    problem, _, remedy = line.partition("; ")
    assert problem
    assert remedy
    for word in words:
        assert word in line, line


def start(
    arguments: Sequence[str | Path], *, script: Path | None = None, threads: int = 1
) -> subprocess.Popen[str]:
    """Starts a command in a process and a process group of its own, as a terminal does.

    Args:
        arguments: the arguments of the command.
        script: a file to run in place of the command line's own module.
        threads: the number of threads of each process that computes.
    """
    code = [str(script)] if script else ["-c", "from remission.cli import main; main()"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, *code, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 60) -> Told:
    """Waits for a started command."""
    out, err = process.communicate(timeout=seconds)
    return Told(process.returncode, out, err)


def snapshot(folder: Path, *rooms: str) -> Snapshot:
    """Returns time of change and content of every file of a store, or of some of its folders."""
    roots = [folder / room for room in rooms] or [folder]
    files = [file for root in roots for file in sorted(root.rglob("*")) if file.is_file()]
    return {
        str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.read_bytes())
        for file in files
    }


def age(*files: Path) -> None:
    """Makes files old enough for ``remission store gc`` to remove them."""
    then = time.time() - 3700
    for file in files:
        os.utime(file, (then, then))


def results(folder: Path) -> dict[str, dict[str, object]]:
    """Returns every record by its label, without times, durations and environment."""
    found = {}
    for record in read_records(folder):
        content = json.loads(record.to_json())
        for key in ("seconds", "cpu_seconds", "finished", "environment"):
            del content[key]
        if content["cell"]:
            del content["cell"]["seconds"], content["cell"]["cpu_seconds"]
        found[record.label] = content
    return found


def by_label(folder: Path) -> dict[str, Record]:
    """Returns every record by its label."""
    return {record.label: record for record in read_records(folder)}


def assert_whole(folder: Path) -> None:
    """Checks that all artefacts of finished records are undamaged, and no file is half written."""
    assert not list(folder.rglob(".part-*"))
    if list((folder / "records").rglob("*.json")):
        told = remission("store", "verify", folder)
        assert told.status == 0, told


_finished: list[Path] = []


def finished_store(factory: pytest.TempPathFactory) -> Path:
    """Returns a store with the whole small grid, computed once per test run, only for reading."""
    if not _finished:
        folder = factory.mktemp("finished")
        told = run(write_spec(folder), folder / "store")
        assert told.status == 0, told
        _finished.append(folder / "store")
    return _finished[0]
