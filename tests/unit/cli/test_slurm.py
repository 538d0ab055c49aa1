"""The job script: its text, and what its shell does where Slurm and Ray are stand-ins."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.grid.small import assert_one_line, remission, write_spec

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs bash")

STAND_INS = {
    "srun": 'echo "srun $*" >> "$LOG"\n'
    'while [ $# -gt 0 ] && [ "${1#--}" != "$1" ]; do shift; done\n"$@"',
    "scontrol": 'echo "scontrol $*" >> "$LOG"\n[ "$1" = show ] && printf "n1\\nn2\\nn3\\n" || true',
    "hostname": "echo 10.0.0.1 fe80::1",
    "ray": 'echo "ray $*" >> "$LOG"\nexec sleep 3',
    "remission": 'echo "remission $*" >> "$LOG"\n'
    'trap "echo stopped >> $LOG; exit 130" TERM\nfor i in $(seq ${STEPS:-1}); do sleep 0.1; done\n'
    "exit ${STATUS:-0}",
}


OWN = """
from typing import ClassVar
from remission.method import method
from remission.purifiers import FT

@method
class Own(FT):
    name: ClassVar[str] = "own_of_slurm"
    paper: ClassVar[str] = "none"
"""


def script(folder: Path, *options: str) -> str:
    told = remission("slurm", write_spec(folder), "--pause", "0", *options)
    assert told.status == 0, told
    return told.out


def environment(folder: Path, **values: str) -> dict[str, str]:
    """Makes stand-ins for all programs, which write what they were asked for into a file."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LOG": str(folder / "log"),
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_JOB_ID": "41234",
        **values,
    }


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def test_the_text_asks_for_what_was_said(tmp_path: Path) -> None:
    text = script(
        tmp_path, "--nodes", "8", "--gpus-per-node", "8", "--time", "4:00:00",
        "--sbatch=--partition=gpu", "--setup", "source venv/bin/activate",
    )  # fmt: skip
    for line in (
        "#SBATCH --nodes=8",
        "#SBATCH --gpus-per-node=8",
        "#SBATCH --time=4:00:00",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --signal=B:TERM@180",
        "#SBATCH --partition=gpu",
        "source venv/bin/activate",
    ):
        assert line in text.splitlines(), line
    assert text.startswith("#!/bin/bash\n")
    directives = [n for n, line in enumerate(text.splitlines()) if line.startswith("#SBATCH")]
    first = next(n for n, line in enumerate(text.splitlines()) if line and line[0] != "#")
    assert max(directives) < first, "Slurm reads none behind the first command"


def test_bash_takes_it(tmp_path: Path) -> None:
    text = script(tmp_path, "--only", "badnets/*/it's", "--store", "a folder")
    checked = subprocess.run(["bash", "-n"], input=text, text=True, check=False)
    assert checked.returncode == 0
    assert shlex.quote("badnets/*/it's") in text


def test_it_starts_ray_on_every_node_and_then_the_run(tmp_path: Path) -> None:
    text = script(tmp_path, "--nodes", "3", "--gpus-per-node", "4", "--store", "a folder")
    done = subprocess.run(
        ["bash"], input=text, text=True, env=environment(tmp_path), check=False, timeout=60
    )
    assert done.returncode == 0
    told = log(tmp_path)
    port = 20000 + 41234 % 20000
    head = f"ray start --head --node-ip-address=10.0.0.1 --port={port} --num-gpus=4 --block"
    assert head in told
    assert f"ray start --address=10.0.0.1:{port} --num-gpus=4 --block" in told
    (others,) = (line for line in told if "--exclude=n1" in line)
    assert others.startswith("srun --nodes=2 --ntasks=2 ")
    (run,) = (line for line in told if line.startswith("remission "))
    assert run == (
        f"remission run {tmp_path}/spec.toml --store a folder --on ray --quiet --cpus-per-stage 1 "
        f"--gpus-per-stage 0.25 --address 10.0.0.1:{port}"
    )
    assert not any(line.startswith("scontrol requeue") for line in told)


def test_the_status_is_that_of_the_run(tmp_path: Path) -> None:
    text = script(tmp_path)
    given = environment(tmp_path, STATUS="1", SLURM_JOB_NUM_NODES="1")
    done = subprocess.run(["bash"], input=text, text=True, env=given, check=False, timeout=60)
    assert done.returncode == 1
    assert sum(line.startswith("ray ") for line in log(tmp_path)) == 1


def test_out_of_time_it_stops_the_run_and_goes_back_into_the_queue(tmp_path: Path) -> None:
    file = tmp_path / "job.sh"
    file.write_text(script(tmp_path))
    process = subprocess.Popen(["bash", file], env=environment(tmp_path, STEPS="300"))
    give_up = time.monotonic() + 30
    while not any(line.startswith("remission ") for line in _lines(tmp_path)):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    told = log(tmp_path)
    assert told.index("stopped") < told.index("scontrol requeue 41234")


def _lines(folder: Path) -> list[str]:
    return log(folder) if (folder / "log").exists() else []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--time", "soon"), "--time is 'soon'"),
        (("--sbatch", "partition=gpu"), "--sbatch is ['partition=gpu']"),
        (("--gpus-per-stage", "0.5"), "needs accelerators"),
        (("--setup", "a\nb"), "several lines"),
        (("--time", "0"), "--time is '0'"),
        (("--time", "0-00:00:00"), "--time is '0-00:00:00'"),
        (("--gpus-per-node", "1", "--gpus-per-stage", "3"), "a node has 1"),
        (("--gpus-per-node", "4", "--gpus-per-stage", "1.5"), "--gpus-per-stage is 1.5"),
        (("--cpus-per-node", "2", "--cpus-per-stage", "8"), "a node has 2"),
        (("--store", "memory://x"), "workers do not see"),
        (("--methods", "nowhere.py"), "nowhere.py"),
    ],
)
def test_what_it_cannot_write(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    assert_one_line(remission("slurm", write_spec(tmp_path), *options), words)


def test_a_spec_with_a_method_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN, encoding="utf-8")
    spec = write_spec(tmp_path, ('method = "ft"', 'method = "own_of_slurm"'))
    told = remission("slurm", spec, "--methods", own)
    assert told.status == 0, told
    assert f"--methods {shlex.quote(str(own))}" in told.out
