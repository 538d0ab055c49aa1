"""Runs the tests of trained numbers under every arithmetic that this processor has.

    python tools/matrix.py build/matrix
    python tools/matrix.py build/matrix AVX2:default:2:0 SSE41:-:2:1 --tests tests/effects

An arithmetic is ``ONEDNN_MAX_CPU_ISA:ATEN_CPU_CAPABILITY:threads:seed``, with ``-`` for no limit;
the seed is added to that of every network's first weights. Each one sums in another order, so a
test that passes under all of them has a margin that no rounding takes away. As many runs go on at
once as have a core for each of their threads: oneDNN's threads wait for each other by spinning.
One line per run is printed, and its output stays in the folder; what passed there before is not
run again. Exit status 1 if a test failed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = (
    "tests/effects",
    "tests/test_examples.py",
    "tests/test_readme.py",
    "tests/unit/grid/stages/test_execute_all_to_all.py",
)
NEEDS = {"SSE41": "sse4_1", "AVX2": "avx2", "AVX512_CORE": "avx512bw"}
"""A level of oneDNN -> the flag in /proc/cpuinfo of a processor that has it."""


def arithmetics() -> list[str]:
    """Lists all that this processor has: its highest level is the same as no limit."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    levels = [level for level, flag in NEEDS.items() if flag in flags]
    parts = itertools.product(levels, ("default", "-"), ("1", "2"), ("0", "1", "2"))
    return [":".join(each) for each in parts]


def threads(arithmetic: str) -> int:
    """Returns the number of threads of a run."""
    return int(arithmetic.split(":")[2])


def environment(arithmetic: str, margins: Path) -> dict[str, str]:
    """Returns the variables of a run; ``margins`` is the file of its comparisons."""
    level, capability, count, seed = arithmetic.split(":")
    limits = {"ONEDNN_MAX_CPU_ISA": level, "ATEN_CPU_CAPABILITY": capability}
    return {
        **{name: value for name, value in os.environ.items() if name not in limits},
        **{name: value for name, value in limits.items() if value != "-"},
        "OMP_NUM_THREADS": count,
        "REMISSION_TEST_THREADS": count,
        "REMISSION_TEST_SEED": seed,
        "REMISSION_TEST_MARGINS": str(margins),
    }


def passes(arithmetic: str, folder: Path, tests: list[str]) -> bool:
    """Runs the tests under one arithmetic, unless they passed before; prints what came of it."""
    log = folder / f"{arithmetic.replace(':', '_')}.log"
    if log.exists() and log.read_text(encoding="utf-8").endswith("exit 0\n"):
        print(f"{arithmetic:<24} passed before", flush=True)
        return True
    began, command = time.monotonic(), [sys.executable, "-m", "pytest", "-q", "--tb=short", *tests]
    with log.open("w", encoding="utf-8") as out:
        margins = log.with_suffix(".jsonl").absolute()
        status = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            env=environment(arithmetic, margins),
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
        out.write(f"\nexit {status}\n")
    lines = log.read_text(encoding="utf-8").splitlines()
    summary = next((line for line in reversed(lines) if re.search(r" in [\d.]+s", line)), "")
    failed = [line for line in lines if line.startswith("FAILED")]
    head = f"{arithmetic:<24} {time.monotonic() - began:5.0f} s  {summary or lines[-1]}"
    print(head, *failed, sep="\n  ", flush=True)
    return status == 0


def main() -> int:
    """Runs what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the runs' output")
    parser.add_argument("arithmetic", nargs="*", help="only these, for example AVX2:default:2:0")
    parser.add_argument("--tests", nargs="+", default=list(TESTS), metavar="PATH")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    chosen, cores = args.arithmetic or arithmetics(), len(os.sched_getaffinity(0))
    passed: list[bool] = []
    for count, group in itertools.groupby(sorted(chosen, key=threads), threads):
        with ThreadPoolExecutor(max(1, cores // count)) as pool:
            passed += pool.map(lambda each: passes(each, args.folder, args.tests), group)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
