"""How well several processes share one grid: independent stages of one thread, in one run.

    python benchmarks/sharing.py [--stages 32] [--seconds 0.7] [--json]

The same plan is run by one ``remission run``, by two and by four of them on one store at the same
time, and on Ray with two workers. A file of methods replaces training by arithmetic that takes a
fixed number of steps, and notes when and where each stage ended. The rate counts from the first
result to the last, so that no start of a process is in it; ideal is the rate of one process times
the processors that are used. Every stage must have been computed once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEAST = 0.85
"""The smallest share of the ideal rate that is accepted."""
METHODS = Path(__file__).parents[1] / "tools" / "stand_ins.py"
"""Replaces what stages compute; reads the two variables below."""
STEPS, ENDS = "REMISSION_STAND_IN_STEPS", "REMISSION_STAND_IN_ENDS"
SPEC = """
name = "sharing"
dataset = "digits"
arch = "resnet18:2"
precision = "fp32"
seeds = [{seeds}]

[split]
defender = 40
attacker = 40
victim = 120

[[attack]]
method = "badnets"
size = 2
margin = 0
poison_rate = 0.1
"""


class Sharing:
    """Runs one plan in several ways.

    Args:
        folder: an empty folder.
        stages: number of independent stages.
        seconds: how long each should take.
    """

    def __init__(self, folder: Path, stages: int, seconds: float) -> None:
        self.folder, self.stages = folder, stages
        self.spec = folder / "sharing.toml"
        seeds = ", ".join(map(str, range(stages)))
        self.spec.write_text(SPEC.format(seeds=seeds), encoding="utf-8")
        self.steps = steps_in(seconds)

    def rate(self, name: str, processes: int, *options: str) -> tuple[float, int]:
        """Returns the stages per second from first to last result, and the processes at work.

        Raises:
            SystemExit: a stage was computed twice, or not at all.
        """
        ends = self.folder / f"{name}-ends"
        ends.mkdir()
        command = [sys.executable, "-m", "remission", "run", str(self.spec)]
        command += ["--store", str(self.folder / name), "--methods", str(METHODS)]
        command += ["--device", "cpu", "--quiet", *options]
        environment = os.environ | {ENDS: str(ends), STEPS: str(self.steps), "OMP_NUM_THREADS": "1"}
        running = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            for _ in range(processes)
        ]
        if any(process.wait() for process in running):
            raise SystemExit(f"{name}: a run failed")
        found = [file.name.split() for file in ends.iterdir()]
        if len({entry[0] for entry in found}) < len(found):
            raise SystemExit(f"{name}: a stage was computed twice")
        if len(found) != self.stages:
            raise SystemExit(f"{name}: {len(found)} of {self.stages} stages were computed")
        times = sorted(float(entry[2]) for entry in found)
        return (len(times) - 1) / (times[-1] - times[0]), len({entry[1] for entry in found})


def steps_in(seconds: float) -> int:
    """Returns how many steps of the stand-in's arithmetic take that long on one thread."""
    import torch

    from remission.user_methods import executed, read_python

    torch.set_num_threads(1)
    multiply, steps, began = executed(read_python(METHODS)).multiply, 0, time.perf_counter()
    while time.perf_counter() - began < 1.0:
        multiply(10)
        steps += 10
    return round(steps * seconds)


def main() -> None:
    """Measures and prints the results; fails below the bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stages", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="sharing") as name:
        sharing = Sharing(Path(name), options.stages, options.seconds)
        found = {
            "one process": sharing.rate("one", 1, "--jobs", "1"),
            "two processes": sharing.rate("two", 2, "--jobs", "1"),
            "four processes": sharing.rate("four", 4, "--jobs", "1"),
            "Ray, two workers": sharing.rate("ray", 1, "--on", "ray", "--jobs", "2"),
        }
    alone, _ = found["one process"]
    shares = {way: rate / (alone * min(cores, workers)) for way, (rate, workers) in found.items()}
    if options.json:
        print(json.dumps({way: [*found[way], share] for way, share in shares.items()}))
    else:
        print(f"{options.stages} independent stages on {cores} cores")
        for way, (rate, workers) in found.items():
            print(f"{way:18} {rate:5.2f} per second, {shares[way]:.2f} of ideal, {workers} at work")
    if min(shares.values()) < LEAST:
        raise SystemExit(f"below {LEAST} of ideal")


if __name__ == "__main__":
    main()
